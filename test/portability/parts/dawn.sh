#!/usr/bin/env bash
# The doctor with Dawn in the place of wgpu-native: two builds of it, on two software GPUs. Dawn checks bounds.
source "$(dirname "$0")/../common.sh"
swiftshader
packages
cd "$project"
echo "npm's bun-webgpu on SwiftShader"
VK_DRIVER_FILES=$swiftshader WGPU_LIB_PATH=$work/npm/node_modules/bun-webgpu-linux-x64/libwebgpu_wrapper.so \
  bun run doctor --device gpu:0
forky
echo "Debian's libwebgpu-dawn0 on Mesa's lavapipe"
inside "$work/forky" env WGPU_LIB_PATH=/usr/lib/x86_64-linux-gnu/libwebgpu_dawn.so.0 bun run doctor --device gpu:0
