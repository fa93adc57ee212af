#!/usr/bin/env bash
# Windows: its devices, Vulkan and DX12 (by Microsoft's shader compiler and Wine's D3D12); how long each takes to compile
# a few kernels; a training whose weights must be those of this machine; predicting.
source "$(dirname "$0")/../common.sh"
open_windows
windows src/main.ts devices | tee "$work/devices"
kernels=(relu_forward softmax_forward max_pool_forward lrn_forward linear_forward conv2d_forward)
for gpu in $(sed -nE 's/^gpu:([0-9]+) .*/\1/p' "$work/devices"); do
  windows test/portability/compile.ts "$gpu" "${kernels[@]}"
done
same_weights windows src/main.ts
