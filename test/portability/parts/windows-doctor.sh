#!/usr/bin/env bash
# The doctor on Windows' cpu, on Vulkan and on DX12.
source "$(dirname "$0")/../common.sh"
open_windows
for device in $(windows src/main.ts devices | sed -nE 's/^(gpu:[0-9]+|cpu) .*/\1/p'); do
  windows src/main.ts doctor --device "$device"
done
