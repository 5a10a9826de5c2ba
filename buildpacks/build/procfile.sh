# Reading a Procfile strictly, and the default types of .release. Sourced by build.sh.

# The types of FILE, one a line. What is wrong goes to standard output instead, with line number and text; status 1.
procfile_types() {
  local file=$1 line number=0 type errors=() types=()
  local -A first=()
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line%$'\r'}
    [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
    if [[ ! $line =~ ^([A-Za-z0-9_-]+):[[:space:]]*([^[:space:]].*)$ ]]; then
      errors+=("Procfile line $number is not 'type: command': ${line:0:200}")
      continue
    fi
    type=${BASH_REMATCH[1]}
    if [[ -n ${first[$type]:-} ]]; then
      errors+=("Procfile line $number declares '$type' again, first in line ${first[$type]}: ${line:0:200}")
    elif ((${#type} > 63)); then
      errors+=("Procfile line $number: the type's name is longer than 63 characters: ${line:0:200}")
    else
      first[$type]=$number
      types+=("$type")
    fi
  done <"$file"
  if ((${#errors[@]} == 0 && ${#types[@]} == 0)); then errors=("Procfile declares no process type"); fi
  if ((${#errors[@]})); then
    printf '%s\n' "${errors[@]}"
    return 1
  fi
  printf '%s\n' "${types[@]}"
}

# The keys below default_process_types: in the YAML that buildpacks print.
release_default_types() {
  local line inside=no
  [[ -f $1 ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line =~ ^[^[:space:]#-] ]]; then
      inside=no
      [[ $line =~ ^default_process_types:[[:space:]]*$ ]] && inside=yes
    elif [[ $inside == yes && $line =~ ^[[:space:]]+[\"\']?([A-Za-z0-9_-]{1,63})[\"\']?:[[:space:]] ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done <"$1"
}
