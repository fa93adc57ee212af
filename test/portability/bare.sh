#!/usr/bin/env bash
# The GPU on machines that have nothing but a Vulkan driver: no C headers, no C library to link with, no network.
# For root on Debian, with mmdebstrap. The checkout must be set up (bun src/setup.ts); its files are copied, and what
# `bun run devices` and `bun run doctor` do in a change of root decides. README.md says what the two machines are.
set -euo pipefail
project=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The mirror and the release that apt uses here.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $release" | head -1)

# Debian: the smallest there is, and a software GPU.
mmdebstrap --quiet --variant=minbase --include=mesa-vulkan-drivers,libvulkan1 "$release" "$work/debian" "$mirror"
install -D "$(bun --print process.execPath)" "$work/debian/usr/local/bin/bun"
mkdir "$work/debian/alexnet"
(cd "$project" && git ls-files -z && find node_modules build .cache/native -print0) |
  tar --create --null --no-recursion --directory "$project" --files-from - |
  tar --extract --no-same-owner --directory "$work/debian/alexnet"

# Fedora's layout: every library in /usr/lib64, and no folder named after the processor.
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

# Runs a command of the program in a machine, with mounts of its own and no network.
inside() {
  unshare --mount --net --pid --fork --mount-proc="$work/$1/proc" sh -ec '
    root=$1; shift
    mount -t sysfs -o ro none "$root/sys"
    mount --bind /dev "$root/dev"
    exec chroot "$root" env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin sh -c "cd /alexnet && exec bun run $*"
  ' sh "$work/$1" "${@:2}"
}

for machine in debian lib64; do
  echo "== $machine"
  left=$(find "$work/$machine" -xdev \( -path "$work/$machine/usr/include/*" -o -name 'libc.so' -o -name libc.a -o -name 'crt1.o' \))
  if [ -n "$left" ]; then echo "not bare: $left" && exit 1; fi
  inside "$machine" devices | tee "$work/devices"
  grep -q '^gpu:0 ' "$work/devices"
  status=0
  inside "$machine" doctor || status=$?
  echo "exit code $status"
  [ "$status" -eq 0 ]
done
