#!/usr/bin/env bash
# Runs the program and its shaders on compilers, drivers and systems of other makes: all parts, or those that are named.
# What each said last is kept in last_output.txt. README.md says what they are, and what they need.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
work=$here/../../.cache/portability
all=(dawn-null naga dxc registers browser page site arm64 windows validation mesa swiftshader dawn bare arm64-doctor windows-doctor)
chosen=("$@")
[ ${#chosen[@]} -gt 0 ] || chosen=("${all[@]}")
for part in "${chosen[@]}"; do
  if [ ! -e "$here/parts/$part.sh" ]; then
    echo "error: no part $part: must be of ${all[*]}" >&2
    exit 2
  fi
done

mkdir -p "$work/output"
status=0
for part in "${chosen[@]}"; do
  echo "== $part" >&2
  began=$SECONDS
  bash "$here/parts/$part.sh" > "$work/output/$part.part" 2> >(tee "$work/output/$part.log" >&2)
  case $? in
    0) result=passed ;;
    77) result=skipped ;;
    *) result=FAILED status=1 ;;
  esac
  # Not kept: where the project lies, and what the doctor says of machine and libraries.
  {
    echo "== $part: $result, $(date --utc +%F), $((SECONDS - began)) s"
    sed -e "s|$(realpath "$here/../..")/||g" -e '/^alexnet /,/^Devices$/{/^Devices$/!d}' "$work/output/$part.part"
  } | tee "$work/output/$part.txt"
  rm "$work/output/$part.part"
done

# What was not run keeps its place.
before=$work/output/before.txt
cat "$here/last_output.txt" > "$before" 2> /dev/null
for part in "${all[@]}"; do
  if [[ " ${chosen[*]} " == *" $part "* ]]; then cat "$work/output/$part.txt" && echo; fi
  if [[ " ${chosen[*]} " != *" $part "* ]]; then awk -v name="$part:" '/^== /{on = $2 == name} on' "$before"; fi
done > "$here/last_output.txt"
exit $status
