#!/bin/bash
# Runs inside the build container as the app's user: source tar on standard input, Heroku's buildpack contract, results in OUTPUT.
#   BUILD   the app's tree; what is in it at the end is the slug      CACHE   kept for the next build, if this one succeeds
#   ENV     one file per variable of the app's environment            OUTPUT  result.json
set -euo pipefail

packs=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD_DIR:-/tmp/build} CACHE=${CACHE_DIR:-/cache} ENV=${ENV_DIR:-/env} OUTPUT=${OUTPUT_DIR:-/output}
work=$(mktemp -d "${TMPDIR:-/tmp}/flynn-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck source=buildpacks/build/procfile.sh
source "$packs/build/procfile.sh"
# shellcheck source=buildpacks/build/select.sh
source "$packs/build/select.sh"

export HOME=${HOME:-/app} STACK=${STACK:-heroku-24} LANG=C.UTF-8 REQUEST_ID=${REQUEST_ID:-flynn-build} \
  CURL_CONNECT_TIMEOUT=30 CURL_TIMEOUT=600 SOURCE_VERSION=${SOURCE_VERSION:-}
export FLYNN_BUILDPACKS=$packs
unset BUILD_DIR CACHE_DIR ENV_DIR OUTPUT_DIR

title() { printf -- '-----> %s\n' "$*"; }
say() { printf '       %s\n' "$*"; }
die() { printf ' !     %s\n' "$*"; exit 1; }
# Seven columns, as Heroku's own buildpacks print; unbuffered, so that the one who pushes sees it as it comes.
indent() { sed -u -e '/^--/b' -e '/^ !/b' -e '/^       /b' -e 's/^/       /'; }

receive_source() {
  tar -x -f - -C "$BUILD" --no-same-owner || die "the source could not be unpacked"
  exec </dev/null
  cd "$BUILD"
  # The newest file's time is the commit's: the slug's files all get it, so equal source gives an equal slug.
  source_time=$(find . -type f -printf '%T@\n' | sort -rn | head -n 1 | cut -d. -f1 || true)
}

# Shell globs relative to the root, deleted before detection.
apply_slugignore() {
  [[ -f .slugignore ]] || return 0
  local pattern count=0 path
  shopt -s nullglob dotglob globstar
  while IFS= read -r pattern || [[ -n $pattern ]]; do
    pattern=${pattern%$'\r'}
    pattern=${pattern%"${pattern##*[![:space:]]}"}
    [[ -n $pattern && $pattern != \#* ]] || continue
    while [[ $pattern == /* ]]; do pattern=${pattern#/}; done
    local IFS=
    for path in $pattern; do
      [[ "/$path/" != */../* && "/$path/" != */./* ]] || continue
      [[ -e $path || -L $path ]] || continue
      rm -rf -- "./$path"
      count=$((count + 1))
    done
  done <.slugignore
  shopt -u nullglob dotglob globstar
  ((count == 0)) || title "Deleting $count files matching .slugignore patterns."
}

compile_with() {
  local pack=$1 status
  # In a subshell of its own, so that what an earlier buildpack exports is seen and nothing else leaks.
  (
    export_file=$work/exports
    [[ ! -f $export_file ]] || source "$export_file"
    cd "$BUILD"
    exec "$pack/bin/compile" "$BUILD" "$CACHE" "$ENV"
  ) </dev/null 2>&1 | indent && status=0 || status=${PIPESTATUS[0]}
  ((status == 0)) || die "buildpack '$pack_name' failed to compile the app (exit status $status)"
  [[ ! -f $pack/export ]] || cat "$pack/export" >>"$work/exports"
}

release_of() {
  local pack=$1
  [[ -x $pack/bin/release ]] || return 0
  "$pack/bin/release" "$BUILD" >"$work/release" 2>"$work/release.err" </dev/null ||
    die "bin/release of buildpack '$pack_name' failed: $(tail -n 3 "$work/release.err")"
  cp "$work/release" "$BUILD/.release"
}

discover_process_types() {
  title "Discovering process types"
  local -a declared=() defaults=() all=()
  if [[ -f Procfile ]]; then
    procfile_types Procfile >"$work/types" || die "$(cat "$work/types")"
    mapfile -t declared <"$work/types"
    say "Procfile declares types -> $(join_comma "${declared[@]}")"
  fi
  all=("${declared[@]}")
  local type
  while IFS= read -r type; do
    [[ " ${declared[*]} " == *" $type "* ]] || { defaults+=("$type"); all+=("$type"); }
  done < <(release_default_types .release)
  ((${#defaults[@]} == 0)) || say "Default types for $pack_name -> $(join_comma "${defaults[@]}")"
  ((${#all[@]})) || die "the app declares no process type: add a file Procfile with a line like   web: ./server"
  write_result "${all[@]}"
}

join_comma() { local IFS=,; local text="$*"; printf '%s' "${text//,/, }"; }

write_result() {
  local type separator=""
  {
    printf '{"process_types":['
    for type in "$@"; do printf '%s"%s"' "$separator" "$type"; separator=,; done
    printf '],"source_time":%d}\n' "${source_time:-0}"
  } >"$OUTPUT/result.json"
}

receive_source
# The kept cache is lent read-only: this build's own copy replaces it only if the build succeeds.
[[ ! -d /cache.previous ]] || cp -a /cache.previous/. "$CACHE/"
apply_slugignore
select_buildpacks
for ((pack_index = 0; pack_index < ${#selected[@]}; ++pack_index)); do
  pack_name=${selected_names[pack_index]}
  title "$pack_name app detected"
  compile_with "${selected[pack_index]}"
  release_of "${selected[pack_index]}"
done
cd "$BUILD"
rm -rf .git
discover_process_types
