# One layer: its key, its making, its file. Sourced by stacks/build.
#
# A recipe sets  over=(lower layers, lowest first)  packages=(Debian packages)  and may define
#   customize ROOT     changes files under ROOT after the packages are in (ROOT is the merged tree; for a layer without
#                      packages the bare layer); in_root PROGRAM ARGS… runs a program inside.
# The lowest layer (over=()) with packages is made by mmdebstrap, the others by apt in an overlay over the lower ones.

format=4 # raise it when this file makes other bytes from the same recipe

note() { printf '%s\n' "$*" >&2; }
fail() { note "stacks/build: ERROR: $*"; exit 1; }

# The machine's own Debian sources as one-line entries; other vendors' packages have no place in a stack.
debian_sources() {
  local lines
  lines=$(apt-get indextargets --format '$(CREATED_BY)|$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
    sed -n 's/^Packages|Debian|//p' | sort -u)
  [[ -n $lines ]] || fail "apt knows no Debian source on this machine; run 'apt-get update' first"
  printf '%s\n' "$lines"
}

debian_suite() { awk '{print $3}' <<<"$1" | grep -v -- - | head -n 1; }

# What the layer's content depends on. Package versions are not part of it: --refresh asks for newer ones.
layer_key() {
  local name=$1 recipe=$here/recipes/$1 lower
  {
    printf '%s\n%s\n' "$format" "$sources"
    cat "$recipe"
    [[ ! -d $here/$name ]] || (cd "$here/$name" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
    for lower in $(source "$recipe"; printf '%s\n' "${over[@]}"); do cat "$out/keys/$lower"; done
  } | sha256sum | cut -d' ' -f1
}

layer_is_made() {
  local name=$1 key=$2 id length old_key
  [[ -f $out/keys/$name ]] || return 1
  { read -r id length; read -r old_key; } <"$out/keys/$name" || return 1
  [[ $old_key == "$key" && -f $out/layers/$id.squashfs ]] || return 1
  [[ $(stat -c %s "$out/layers/$id.squashfs") == "$length" ]]
}

ensure_layer() {
  local name=$1 key work started=$SECONDS
  key=$(layer_key "$name")
  if [[ $refresh == no ]] && layer_is_made "$name" "$key"; then return; fi
  note "-----> Layer $name"
  work=$(mktemp -d "$out/.work.XXXXXX")
  # Mounts live in the namespace of the step, so they end with it, however it ends.
  trap 'rm -rf --one-file-system "$work"' EXIT
  local status=0
  FLYNN_STACKS_STEP=$name FLYNN_STACKS_WORK=$work FLYNN_STACKS_OUT=$out FLYNN_STACKS_SOURCES=$sources \
    unshare --mount --propagation private --pid --fork --kill-child bash "$self" --out "$out" </dev/null >"$work/log" 2>&1 || status=$?
  if ((status)); then
    note "$(tail -n 25 "$work/log")"
    fail "layer '$name' failed in step '$(cat "$work/step" 2>/dev/null || echo start)' (exit status $status); its last lines stand above"
  fi
  publish_layer "$name" "$key" "$work/layer.squashfs"
  rm -rf --one-file-system "$work"
  trap - EXIT
  note "       $(du -m "$out/layers/$(cut -d' ' -f1 "$out/keys/$name" | head -n 1).squashfs" | cut -f1) MB in $((SECONDS - started)) s"
}

publish_layer() {
  local name=$1 key=$2 file=$3 id
  id=$(openssl dgst -sha512-256 -r "$file" | cut -d' ' -f1)
  [[ $id =~ ^[0-9a-f]{64}$ ]] || fail "openssl gave no SHA-512/256 of layer '$name'"
  chmod 0644 "$file"
  sync "$file"
  mv "$file" "$out/layers/$id.squashfs"
  printf '%s %s\n%s\n' "$id" "$(stat -c %s "$out/layers/$id.squashfs")" "$key" >"$out/keys/.$name"
  mv "$out/keys/.$name" "$out/keys/$name"
}

# From here on: inside the namespaces of one step.

step() { printf '%s' "$*" >"$work/step"; note "[$*]"; }

inside_namespace() {
  name=$FLYNN_STACKS_STEP work=$FLYNN_STACKS_WORK out=$FLYNN_STACKS_OUT sources=$FLYNN_STACKS_SOURCES
  over=() packages=()
  customize() { :; }
  # shellcheck source=/dev/null
  source "$here/recipes/$name"
  export DEBIAN_FRONTEND=noninteractive SOURCE_DATE_EPOCH=0 HOME=/root
  if ((${#packages[@]} == 0)); then
    make_plain
  elif ((${#over[@]} == 0)); then
    make_lowest
  else
    make_over
  fi
  step "pack the layer"
  unset SOURCE_DATE_EPOCH # mksquashfs takes times from it or from its options, not both
  mksquashfs "$tree" "$work/layer.squashfs" -comp zstd -Xcompression-level 3 -all-time 0 -mkfs-time 0 -noappend -no-progress -quiet
}

make_plain() {
  tree=$work/tree
  mkdir "$tree"
  step "copy files"
  customize "$tree"
}

make_lowest() {
  tree=$work/tree
  step "install packages with mmdebstrap"
  # The sources come by standard input; "tar" and "dir" of mmdebstrap differ in nothing that we keep.
  mmdebstrap --mode=root --variant=minbase --format=directory --include="$(IFS=,; echo "${packages[*]}")" \
    --skip=check/empty "$(debian_suite "$sources")" "$tree" - <<<"$sources"
  prepare_root "$tree"
  step "customize"
  customize "$tree"
  clean_root "$tree" "$tree"
  # mmdebstrap brings this machine's; the host plugin binds each job's own over them.
  rm -f "$tree/etc/resolv.conf" "$tree/etc/hosts" "$tree/etc/hostname"
  : >"$tree/etc/resolv.conf"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$tree/etc/hosts"
  printf 'localhost\n' >"$tree/etc/hostname"
}

make_over() {
  local lower id lowerdir="" root=$work/root
  step "unpack the lower layers"
  for lower in "${over[@]}"; do
    read -r id _ <"$out/keys/$lower"
    unsquashfs -quiet -no-progress -dest "$work/lower.$lower" "$out/layers/$id.squashfs"
    lowerdir=$work/lower.$lower${lowerdir:+:$lowerdir}
  done
  tree=$work/tree
  mkdir "$tree" "$work/overlay" "$root"
  mount -t overlay overlay -o "lowerdir=$lowerdir,upperdir=$tree,workdir=$work/overlay,index=off,metacopy=off,redirect_dir=off" "$root"
  prepare_root "$root"
  mkdir -p "$out/cache/archives/partial" "$out/cache/lists/partial"
  mount --bind "$out/cache/archives" "$root/var/cache/apt/archives"
  mount --bind "$out/cache/lists" "$root/var/lib/apt/lists"
  step "read the package lists"
  in_root apt-get -q -o APT::Sandbox::User=root update
  step "install packages with apt-get"
  in_root apt-get -q -y -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 --no-install-recommends install "${packages[@]}"
  step "customize"
  customize "$root"
  umount "$root/var/cache/apt/archives" "$root/var/lib/apt/lists"
  clean_root "$root" "$tree"
  step "unmount"
  umount --recursive "$root"
  forget_origins "$tree"
}

in_root() {
  chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive SOURCE_DATE_EPOCH=0 "$@"
}

# /proc, /dev and name resolution as package scripts expect them; no daemon is started.
prepare_root() {
  root=$1
  step "prepare the root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  [[ -e $root/etc/resolv.conf ]] || : >"$root/etc/resolv.conf"
  [[ -e $root/etc/hosts ]] || : >"$root/etc/hosts"
  mount --bind "$(readlink -f /etc/resolv.conf)" "$root/etc/resolv.conf"
  mount --bind /etc/hosts "$root/etc/hosts"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 0755 "$root/usr/sbin/policy-rc.d"
}

# Out goes what no job reads and what differs from one run to the next. Deleting in `tree` (the upper folder) beside `root`
# would be undefined behaviour of overlayfs while it is mounted, so everything goes through `root`.
clean_root() {
  local root=$1 tree=$2 folder
  step "clean"
  umount "$root/etc/resolv.conf" "$root/etc/hosts" "$root/proc"
  umount --recursive --lazy "$root/dev"
  rm -f "$root/usr/sbin/policy-rc.d" "$root/var/cache/ldconfig/aux-cache" "$root/var/lib/dpkg/"*-old "$root/etc/"*- "$root/etc/machine-id"
  for folder in usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/doc-base var/cache/apt \
      var/lib/apt/lists var/log var/cache/debconf tmp run; do
    [[ ! -d $tree/$folder ]] || find "$root/$folder" -mindepth 1 -xdev -depth -delete
  done
  mkdir -p "$root/usr/share/man/man1" "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial"
}

# overlayfs notes where a copied-up file came from: a file handle of this very disk, useless elsewhere and never the same twice.
forget_origins() {
  local tree=$1 name
  step "forget origins"
  for name in trusted.overlay.origin trusted.overlay.impure trusted.overlay.uuid; do
    getfattr --absolute-names -R -P -h -m "^${name//./\\.}\$" "$tree" 2>/dev/null | sed -n 's/^# file: //p' |
      while IFS= read -r file; do setfattr -h -x "$name" -- "$(printf '%b' "$file")"; done
  done
}
