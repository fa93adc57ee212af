#!/bin/sh
# Builds turbojpeg.wasm.gz: libjpeg-turbo as published, for machines without a native one.
#
#   sh kernels/jpeg/build.sh LIBJPEG-TURBO [ZIG]
#
# LIBJPEG-TURBO is the folder of its sources, version 3.1.0 (also in the crate turbojpeg-sys 1.2.0), ZIG that of zig
# 0.17.1 (also in the Python wheel ziglang). Needs cmake and ninja. The same sources and zig give the same bytes.
set -eu
source=$(realpath "$1")
zig=$(realpath "${2:-$(dirname "$(command -v zig)")}")
target=$(realpath "$(dirname "$0")")/turbojpeg.wasm.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

for tool in "cc -target wasm32-wasi" ar ranlib; do
  name=zig-${tool%% *}
  printf '#!/bin/sh\nexec "%s/zig" %s "$@"\n' "$zig" "$tool" > "$name"
  chmod +x "$name"
done

# setjmp and longjmp, with which libjpeg abandons a damaged image, become WebAssembly exceptions. The two macros make
# the Huffman decoder's buffer 64 bits wide, as on 64-bit processors: it determines where damaged data are noticed.
exceptions="-mexception-handling -mllvm -wasm-enable-sjlj"
cmake -G Ninja "$source" -DCMAKE_SYSTEM_NAME=WASI -DCMAKE_SYSTEM_PROCESSOR=wasm32 \
  -DCMAKE_C_COMPILER="$work/zig-cc" -DCMAKE_AR="$work/zig-ar" -DCMAKE_RANLIB="$work/zig-ranlib" \
  -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY -DCMAKE_BUILD_TYPE=Release -DBUILD=0 \
  -DENABLE_SHARED=0 -DWITH_SIMD=0 -DCMAKE_C_FLAGS_RELEASE="-Os -DNDEBUG -D__x86_64__ -D__ILP32__" \
  -DCMAKE_C_FLAGS="$exceptions -ffile-prefix-map=$source=."
ninja turbojpeg-static

# The exception that longjmp throws; zig's C library has the rest.
printf '\t.globl __c_longjmp\n\t.tagtype __c_longjmp i32\n__c_longjmp:\n' > tag.s
exports=""
for name in malloc free tj3Init tj3Destroy tj3Set tj3Get tj3GetErrorCode tj3GetErrorStr \
  tj3DecompressHeader tj3Decompress8 tj3JPEGBufSize tj3Compress8; do
  exports="$exports -Wl,--export=$name"
done
# shellcheck disable=SC2086
./zig-cc -mexec-model=reactor -Os -s $exceptions $exports -o turbojpeg.wasm libturbojpeg.a tag.s \
  "$zig/lib/libc/wasi/libc-top-half/musl/src/setjmp/wasm32/rt.c"
gzip -9 -n -c turbojpeg.wasm > "$target"
sha256sum "$target"
