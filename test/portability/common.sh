# What the parts share; each sources it. A part prints what is kept of its output, and ends with 77 if it was skipped.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
project=$(realpath "$here/../..")
work=$project/.cache/portability
bun=$(bun --print process.execPath)
mkdir -p "$work"

skip() {
  echo "skipped: $*"
  exit 77
}

# needs COMMAND PACKAGE
needs() {
  command -v "$1" > /dev/null || skip "no $1 (apt-get install $2)"
}

as_root() {
  [ "$(id -u)" -eq 0 ] || skip "must be root, for a change of root"
}

# The npm packages of package.json here, in $work/npm.
packages() {
  bun "$here/packages.ts" >&2
}

# Every WGSL text, in $work/shaders.
shaders() {
  rm -rf "$work/shaders"
  bun "$project/bench/shaders.ts" "$work/shaders"
}

release() {
  . /etc/os-release && echo "$VERSION_CODENAME"
}

# The mirror that apt uses here.
mirror() {
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $(release)" | head -1
}

# machine NAME RELEASE PACKAGE…: a small Debian with these packages in $work/NAME, made once. On some mirrors the
# signed list of a release that isn't out yet is past its date.
machine() {
  local root=$work/$1
  as_root
  needs mmdebstrap mmdebstrap
  if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --aptopt='Acquire::Check-Valid-Until "false"' \
      --include="$(IFS=,; echo "${*:3}")" "$2" "$root" "$(mirror)" >&2
    touch "$root/made"
  fi
}

# copy TO: the checkout as it is set up, without its runs and caches.
copy() {
  rm -rf "$1"
  mkdir -p "$1"
  (cd "$project" && { git ls-files -z; find node_modules build .cache/native -print0; }) |
    tar --create --null --no-recursion --directory "$project" --files-from - |
    tar --extract --no-same-owner --directory "$1"
}

# sync_sources TO: brings a copy up to date, but for what is installed in it.
sync_sources() {
  (cd "$project" && git ls-files -z) | tar --create --null --directory "$project" --files-from - |
    tar --extract --no-same-owner --directory "$1"
  cp --archive "$project/build" "$1/"
}

# copy_for OS CPU TO: the same with the packages and native libraries of another platform.
copy_for() {
  local os=$1 cpu=$2 to=$3
  copy "$to"
  rm -rf "$to/node_modules" "$to/.cache/native"
  (cd "$to" && bun install --frozen-lockfile --os="$os" --cpu="$cpu" >&2)
  sha256sum "$to/bun.lock" | cut -c1-64 | tr -d '\n' > "$to/node_modules/.bun-lock-sha256"
  bun "$here/libraries.ts" "$os-$cpu" "$to"
  touch "$to/node_modules/made"
}

# bun_for PACKAGE: the path of Bun in an npm package, such as @oven/bun-linux-aarch64.
bun_for() {
  local folder=$work/bun/${1#@oven/}
  if [ ! -e "$folder/made" ]; then
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "$1@$(bun --version)" >&2 && tar xzf ./*.tgz --strip-components=1)
    touch "$folder/made"
  fi
  ls "$folder"/bin/bun*
}

# inside ROOT COMMAND…: runs a command in the copy at ROOT/alexnet, in a change of root with mounts of its own and no
# network.
inside() {
  unshare --mount --net --pid --fork --mount-proc="$1/proc" sh -ec '
    root=$1; shift
    mount -t sysfs -o ro none "$root/sys"
    mount --bind /dev "$root/dev"
    exec chroot "$root" env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin sh -c "cd /alexnet && exec $*"
  ' sh "$1" "${@:2}"
}

# Sets swiftshader to the description of Chromium's software GPU.
swiftshader() {
  swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
  [ -e "$swiftshader" ] || skip "no $swiftshader (apt-get install chromium)"
}

# Debian's next release with its Mesa and its Dawn, and the checkout, in $work/forky.
forky() {
  machine forky forky mesa-vulkan-drivers libvulkan1 libwebgpu-dawn0
  install -D "$bun" "$work/forky/usr/local/bin/bun"
  copy "$work/forky/alexnet"
}

# Linux on arm64 by qemu, in $work/arm64, with a copy of the checkout for it, which becomes the current folder. arm64 runs
# a command of the program there.
open_arm64() {
  needs qemu-aarch64-static qemu-user-static
  needs mmdebstrap mmdebstrap
  needs npm npm
  local root=$work/arm64
  if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    mmdebstrap --quiet --variant=extract --architectures=arm64 \
      --include=libc6,libstdc++6,libgcc-s1,libgfortran5,libgomp1,mesa-vulkan-drivers,libvulkan1 \
      "$(release)" "$root" "$(mirror)" >&2
    sed -i -E 's#"library_path": *"[^"]*/#"library_path": "/usr/lib/aarch64-linux-gnu/#' \
      "$root"/usr/share/vulkan/icd.d/lvp_icd.*.json
    touch "$root/made"
  fi
  [ -e "$work/arm64-project/node_modules/made" ] || copy_for linux arm64 "$work/arm64-project"
  sync_sources "$work/arm64-project"
  cd "$work/arm64-project"
  arm64_bun=$(bun_for @oven/bun-linux-aarch64)
}

# qemu's own processor has features that OpenBLAS gets wrong there.
arm64() {
  env -u OPENBLAS_CORETYPE qemu-aarch64-static -L "$work/arm64" -cpu cortex-a72 \
    -E VK_DRIVER_FILES="$work/arm64/usr/share/vulkan/icd.d/lvp_icd.aarch64.json" "$arm64_bun" src/main.ts "$@"
}

# Windows' Bun by Wine, in $work/trixie, with a copy of the checkout for it, which becomes the current folder. windows runs
# a file of it there.
open_windows() {
  needs npm npm
  local root=$work/trixie
  machine trixie trixie ca-certificates wine64 wine mesa-vulkan-drivers libvulkan1 libvkd3d1 libvkd3d-utils1 xvfb xauth \
    libx11-6 libxext6 libxrender1 libxcursor1 libxi6 libxrandr2 libxxf86vm1 libxinerama1 libxcomposite1 libgl1 libegl1
  packages
  [ -e "$root/alexnet/node_modules/made" ] || copy_for win32 x64 "$root/alexnet"
  sync_sources "$root/alexnet"
  cp "$(bun_for @oven/bun-windows-x64-baseline)" "$root/bun.exe"
  # Microsoft's shader compiler. Not dxcompiler.dll beside it: wgpu would then insist on DXC, which is not all there.
  cp "$work/npm/node_modules/webgpu/dist/win32-x64/d3dcompiler_47.dll" "$root/"
  # Wine shows no GPU without a screen. Not exec: a screen does not tell the first process that it is ready.
  cat > "$root/windows" << 'END'
#!/bin/sh
export WINEDEBUG=-all WINEDLLOVERRIDES="d3dcompiler_47=n,b;mscoree=;mshtml=" XDG_RUNTIME_DIR=/tmp
xvfb-run --auto-servernum wine /bun.exe "$@"
END
  chmod +x "$root/windows"
  cd "$root/alexnet"
  inside "$root" /windows --version >&2
}

windows() {
  inside "$work/trixie" /windows "$@" | tr -d '\r'
}

# same_weights COMMAND…: a short training, here and by COMMAND, in whose current folder the checkout is: the weights must
# be the same. Then COMMAND classifies a few of the images.
same_weights() {
  local options=(--epochs 1 --limit 1000 --device cpu --blas off --seed 1)
  local ours=$work/trained-for-$1
  rm -rf "$ours" run samples
  (cd "$project" && bun run train "${options[@]}" --out "$ours" >&2)
  "$@" train "${options[@]}" --out run
  local sums
  sums=$(sha256sum "$ours/last.safetensors" run/last.safetensors | cut -c1-64 | sort -u)
  [ "$(wc -l <<< "$sums")" -eq 1 ] || { echo "other weights than here" && exit 1; }
  echo "the same weights as on this machine, $(uname -sm): SHA-256 $sums"
  # Under Wine, Bun lists no folder in a folder.
  mv run/samples .
  "$@" predict samples --model run --device cpu
}
