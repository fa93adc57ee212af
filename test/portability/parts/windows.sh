#!/usr/bin/env bash
# Windows' Bun by Wine 10: the doctor on the cpu, on Vulkan and on DX12 (by Microsoft's shader compiler and Wine's D3D12);
# how long each takes to compile all kernels; a training whose weights must be those of this machine; predicting.
source "$(dirname "$0")/../common.sh"
needs npm npm
machine trixie trixie ca-certificates wine64 wine mesa-vulkan-drivers libvulkan1 libvkd3d1 libvkd3d-utils1 xvfb xauth \
  libx11-6 libxext6 libxrender1 libxcursor1 libxi6 libxrandr2 libxxf86vm1 libxinerama1 libxcomposite1 libgl1 libegl1
packages
root=$work/trixie
copy_for win32 x64 "$root/alexnet"
cp "$(bun_for @oven/bun-windows-x64-baseline)" "$root/bun.exe"
# Microsoft's compiler. Not dxcompiler.dll beside it: wgpu would then insist on DXC, which is not all there.
cp "$work/npm/node_modules/webgpu/dist/win32-x64/d3dcompiler_47.dll" "$root/"
# Wine shows no GPU without a screen. Bun's complaints of mismatched folders are Wine's.
cat > "$root/windows" <<'END'
#!/bin/sh
export WINEDEBUG=-all WINEDLLOVERRIDES="d3dcompiler_47=n,b;mscoree=;mshtml=" XDG_RUNTIME_DIR=/tmp
exec xvfb-run --auto-servernum wine /bun.exe "$@"
END
chmod +x "$root/windows"
windows() { inside "$root" /windows "$@" | tr -d '\r'; }
command() { windows src/main.ts "$@"; }
cd "$root/alexnet"
command devices | tee "$work/devices"
gpus=$(sed -nE 's/^gpu:([0-9]+) .*/\1/p' "$work/devices")
for gpu in $gpus; do windows test/portability/compile.ts "$gpu"; done
command doctor --device cpu
same_weights command
for gpu in $gpus; do command doctor --device "gpu:$gpu"; done
