#!/usr/bin/env bash
# The doctor on SwiftShader, the software GPU of Chromium, through wgpu-native.
source "$(dirname "$0")/../common.sh"
swiftshader
cd "$project"
VK_DRIVER_FILES=$swiftshader bun run doctor --device gpu:0
