# Which buildpacks an app gets: BUILDPACK_URL of its environment, else its file .buildpacks, else the first of ours whose
# detect succeeds. Sourced by build.sh. Result: selected (writable copies) and selected_names.

selected=() selected_names=()

select_buildpacks() {
  local url
  if [[ -s $ENV/BUILDPACK_URL ]]; then
    url=$(<"$ENV/BUILDPACK_URL")
    add_custom "$url"
  elif [[ -f $BUILD/.buildpacks ]]; then
    while IFS= read -r url || [[ -n $url ]]; do
      url=${url%$'\r'}
      [[ $url =~ ^[[:space:]]*(#.*)?$ ]] || add_custom "$url"
    done <"$BUILD/.buildpacks"
    ((${#selected[@]})) || die ".buildpacks names no buildpack"
  else
    add_default
  fi
}

add_default() {
  local name copy label
  while IFS= read -r name; do
    copy=$(writable_copy "$packs/$name")
    if label=$("$copy/bin/detect" "$BUILD" </dev/null 2>/dev/null); then
      selected+=("$copy") selected_names+=("${label:-$name}")
      return
    fi
  done <"$packs/order"
  printf -- '-----> Unable to select a buildpack\n'
  die "no buildpack fits: there is no package.json, requirements.txt, Makefile, index.html, static.json or Procfile in the root of the repository. Set BUILDPACK_URL to use another buildpack"
}

writable_copy() {
  local copy
  copy=$(mktemp -d "$work/pack.XXXXXX")
  cp -R "$1/." "$copy/"
  chmod -f +x "$copy"/bin/* || true
  printf '%s' "$copy"
}

# A git URL with #ref, a URL of a .tgz, or urn-less name of one of ours.
add_custom() {
  local url=$1 copy label status=0
  if [[ $url =~ ^[a-z]+$ && -d $packs/$url/bin ]]; then
    copy=$(writable_copy "$packs/$url")
  else
    printf -- '-----> Fetching custom buildpack\n'
    copy=$(fetch_buildpack "$url") || die "the buildpack $(printable_url "$url") could not be fetched: $copy"
  fi
  [[ -x $copy/bin/compile ]] || die "$(printable_url "$url") is no buildpack: it has no bin/compile"
  if [[ -x $copy/bin/detect ]]; then
    label=$("$copy/bin/detect" "$BUILD" </dev/null 2>"$work/detect.err") || status=$?
    ((status == 0)) || die "the buildpack $(printable_url "$url") does not accept this app (detect: exit status $status $(tail -n 3 "$work/detect.err"))"
  fi
  selected+=("$copy") selected_names+=("${label:-$(basename "${url%%#*}" .git)}")
}

# A password in a URL is not shown.
printable_url() { sed -E 's#//[^/@]*@#//#' <<<"$1"; }

# Prints the folder; on failure the failing program's words, and status 1.
fetch_buildpack() {
  local url=${1%%#*} ref="" copy
  [[ $1 != *#* ]] || ref=${1#*#}
  copy=$(mktemp -d "$work/pack.XXXXXX")
  if [[ $url == *.tgz || $url == *.tar.gz ]]; then
    curl --fail --silent --show-error --location --max-time 120 --output "$work/pack.tgz" -- "$url" 2>&1 || return 1
    tar -xzf "$work/pack.tgz" -C "$copy" 2>&1 || return 1
  else
    [[ $ref != -* ]] || { printf 'bad reference %s' "$ref"; return 1; }
    if ! GIT_TERMINAL_PROMPT=0 timeout 120 git clone --quiet --depth 1 --recurse-submodules ${ref:+--branch "$ref"} -- "$url" "$copy" >"$work/clone" 2>&1; then
      # A commit is not a branch: the whole history, then the commit.
      [[ -n $ref ]] || { tail -n 3 "$work/clone"; return 1; }
      rm -rf "$copy"
      GIT_TERMINAL_PROMPT=0 timeout 120 git clone --quiet -- "$url" "$copy" >"$work/clone" 2>&1 &&
        git -C "$copy" checkout --quiet --detach "$ref" >"$work/clone" 2>&1 || { tail -n 3 "$work/clone"; return 1; }
    fi
    rm -rf "$copy/.git"
  fi
  chmod -f +x "$copy"/bin/* || true
  printf '%s' "$copy"
}
