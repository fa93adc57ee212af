#!/usr/bin/env bash
# The GPU on machines that have nothing but a Vulkan driver: no C headers, no C library to link with, no network. What
# `bun run devices` and `bun run doctor` do in a change of root decides. README.md says what the two machines are.
source "$(dirname "$0")/../common.sh"

# Debian: the smallest there is, and a software GPU.
machine debian "$(release)" mesa-vulkan-drivers libvulkan1
install -D "$bun" "$work/debian/usr/local/bin/bun"
copy "$work/debian/alexnet"

# Fedora's layout: every library in /usr/lib64, and no folder named after the processor.
rm -rf "$work/lib64"
cp --archive "$work/debian" "$work/lib64"
triplet=$(basename "$(dirname "$(find "$work/debian/usr/lib" -name libc.so.6)")")
(
  cd "$work/lib64/usr"
  mv --force "lib/$triplet"/* lib64/
  rmdir "lib/$triplet"
  sed -i "s|/usr/lib/$triplet|/usr/lib64|" share/vulkan/icd.d/*.json
  echo /usr/lib64 > ../etc/ld.so.conf
  ldconfig -r ..
)

for machine in debian lib64; do
  echo "== $machine"
  root=$work/$machine
  left=$(find "$root" -xdev \( -path "$root/usr/include/*" -o -name 'libc.so' -o -name libc.a -o -name 'crt1.o' \))
  if [ -n "$left" ]; then echo "not bare: $left" && exit 1; fi
  inside "$root" bun run devices | tee "$work/devices"
  grep -q '^gpu:0 ' "$work/devices"
  inside "$root" bun run doctor
done
