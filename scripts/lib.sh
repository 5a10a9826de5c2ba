# What up, down and test share. Sourced, not run.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Where the node lives; a second node or a test sets its own.
prefix=${FLYNN_PREFIX:-/opt/flynn}
etc_dir=${FLYNN_ETC:-/etc/flynn}
data_dir=${FLYNN_DATA:-/var/lib/flynn}
run_dir=${FLYNN_RUN:-/run/flynn}
cache_dir=${FLYNN_CACHE:-/var/cache/flynn}
build_dir=${FLYNN_BUILD:-$repo/build/release}
config_file=$etc_dir/flynn.toml

# What one checkout compiled another need not compile again.
export CCACHE_BASEDIR=$repo CCACHE_NOHASHDIR=1

step_name="start"
# step "text": names what runs, so that a failure can say where it happened.
step() {
  step_name=$1
  printf '%s -----> %s\n' "$(date +%H:%M:%S)" "$1" >&2
}
fail() {
  printf '\nERROR: %s: %s\n' "$step_name" "$1" >&2
  [ $# -lt 2 ] || printf '       %s\n' "$2" >&2
  exit 1
}
# quiet LOG PROGRAM ARGS: output goes to LOG; on failure its last lines are shown.
quiet() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    fail "$1 failed, its last words are above" "the whole output: $log"
  fi
}
need_root() {
  [ "$(id -u)" = 0 ] || fail "root is needed (containers, networks and mounts are made)" "type: sudo $0 $*"
}

install_packages() {
  local wanted missing=()
  mapfile -t wanted < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$repo/scripts/packages")
  local have
  have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | awk '$2 == "installed" { print $1 }')
  local line name program
  for line in "${wanted[@]}"; do
    read -r name _ program <<<"$line"
    grep -qx -- "$name" <<<"$have" && continue
    [ -n "$program" ] && command -v "$program" >/dev/null && continue
    missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  step "install ${#missing[@]} Debian packages: ${missing[*]}"
  quiet /tmp/flynn-apt.log apt-get update -qq
  # Services of packages are the platform's to start, or nobody's.
  local policy=/usr/sbin/policy-rc.d made=no
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=yes; fi
  DEBIAN_FRONTEND=noninteractive quiet /tmp/flynn-apt.log apt-get install -y -q --no-install-recommends "${missing[@]}"
  [ $made = no ] || rm -f $policy
}

# build PRESET: configures and builds build/PRESET.
build_preset() {
  step "build ($1)"
  quiet "$repo/build/$1.configure.log" cmake -S "$repo" --preset "$1"
  local log=$repo/build/$1.build.log
  if ! ninja -C "$repo/build/$1" >"$log" 2>&1; then
    grep -E 'error|FAILED|undefined reference' -A3 "$log" | tail -n 40 >&2
    fail "the compiler refused something, see above" "the whole output: $log"
  fi
}
