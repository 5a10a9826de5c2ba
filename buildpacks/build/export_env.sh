# Sourced by our buildpacks: gives compile the app's variables (files of ENV), but for those that would change the tools.
export_env() {
  local dir=$1 file name
  [[ -d $dir ]] || return 0
  for file in "$dir"/*; do
    name=${file##*/}
    [[ -f $file && $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    [[ $name =~ ^(PATH|HOME|IFS|SHELLOPTS|BASHOPTS|BASH_ENV|ENV|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LD_LIBRARY_PATH|LIBRARY_PATH|LANG|PYTHONHOME|PORT)$ ]] && continue
    export "$name=$(<"$file")"
  done
}
