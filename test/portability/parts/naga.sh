#!/usr/bin/env bash
# Every shader by naga, wgpu's compiler, to Metal's language, to HLSL and to SPIR-V, the latter as spirv-val sees it; with
# and without bounds checks. Those in half precision need HLSL's shader model 6.2.
source "$(dirname "$0")/../common.sh"
needs naga "cargo, then: cargo install naga-cli"
needs spirv-val spirv-tools
echo "naga $(naga --version)"
shaders
failed=0
for policy in Unchecked Restrict; do
  out=$work/naga/$policy
  rm -rf "$out"
  mkdir -p "$out"
  for file in "$work"/shaders/*.wgsl "$work"/shaders/half/*.wgsl; do
    name=$(basename "$file" .wgsl)
    model=51
    [ "$(basename "$(dirname "$file")")" = shaders ] || model=62
    translate() {
      local said
      said=$(naga --index-bounds-check-policy $policy "$@" 2>&1) && [ -z "$said" ] && return
      echo "$policy, $name: $said"
      failed=$((failed + 1))
    }
    translate --metal-version 2.4 "$file" "$out/$name.metal"
    translate --shader-model $model "$file" "$out/$name.hlsl"
    translate --spirv-version 1.3 "$file" "$out/$name.spv"
    spirv-val --target-env vulkan1.1 "$out/$name.spv" || failed=$((failed + 1))
  done
  echo "$policy: $(ls "$out"/*.metal | wc -l) to MSL, $(ls "$out"/*.hlsl | wc -l) to HLSL, $(ls "$out"/*.spv | wc -l) to SPIR-V"
done
echo "$failed failed"
[ "$failed" -eq 0 ]
