#!/usr/bin/env bash
# Linux on arm64 by qemu: the doctor on the cpu and on lavapipe; a training whose weights must be those of this machine;
# predicting.
source "$(dirname "$0")/../common.sh"
needs qemu-aarch64-static qemu-user-static
needs mmdebstrap mmdebstrap
needs npm npm
root=$work/arm64
if [ ! -e "$root/made" ]; then
  rm -rf "$root"
  mmdebstrap --quiet --variant=extract --architectures=arm64 \
    --include=libc6,libstdc++6,libgcc-s1,libgfortran5,libgomp1,mesa-vulkan-drivers,libvulkan1 \
    "$(release)" "$root" "$(mirror)" >&2
  touch "$root/made"
fi
copy_for linux arm64 "$work/arm64-project"
cd "$work/arm64-project"
arm_bun=$(bun_for @oven/bun-linux-aarch64)
# qemu's own processor has features that OpenBLAS gets wrong there.
arm() {
  env -u OPENBLAS_CORETYPE qemu-aarch64-static -L "$root" -cpu cortex-a72 \
    -E VK_DRIVER_FILES="$root/usr/share/vulkan/icd.d/lvp_icd.aarch64.json" "$arm_bun" src/main.ts "$@"
}
sed -i -E "s#\"library_path\": *\"[^\"]*/#\"library_path\": \"/usr/lib/aarch64-linux-gnu/#" \
  "$root"/usr/share/vulkan/icd.d/lvp_icd.*.json
arm devices
arm doctor --device cpu
arm doctor --device gpu:0
same_weights arm
