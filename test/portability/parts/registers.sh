#!/usr/bin/env bash
# Every kernel and variant by AMD's compiler for seven chips, without one: none may spill registers.
source "$(dirname "$0")/../common.sh"
needs naga "cargo, then: cargo install naga-cli"
needs gcc gcc
[ -e /usr/include/vulkan/vulkan.h ] || skip "no vulkan.h (apt-get install libvulkan-dev)"
bun "$project/bench/registers/main.ts" --out "$work/registers-amd.json"
