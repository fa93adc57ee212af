/** The native libraries: versions, platforms, where to download them, and the SHA-256 of each file. */
import type { Wheel } from "./download.ts";

/** A library for one platform. */
export interface Build {
  /** The name under which the file is kept. */
  readonly file: string;
  /** Its path in the archive. */
  readonly inside: RegExp;
  readonly sha256: string;
  /** The release archive, tried first. */
  readonly url?: string;
  /** A Python wheel with the same file. */
  readonly wheel: Wheel;
}

export interface NativeLibrary {
  readonly name: string;
  readonly version: string;
  /** The environment variable that points to another file to use instead. */
  readonly variable: string;
  /** By `process.platform`-`process.arch`. */
  readonly builds: Readonly<Record<string, Build>>;
}

const WGPU_VERSION = "29.0.1.1";
const WGPU_RELEASES = `https://github.com/gfx-rs/wgpu-native/releases/download/v${WGPU_VERSION}`;

function wgpu(file: string, release: string, platform: string, sha256: string): Build {
  return {
    file,
    inside: /(^|\/)(lib)?wgpu_native(-release)?\.(so|dylib|dll)$/,
    sha256,
    url: `${WGPU_RELEASES}/wgpu-${release}-release.zip`,
    wheel: { name: "wgpu", version: "0.32.0", platform },
  };
}

export const WGPU: NativeLibrary = {
  name: "wgpu-native",
  version: WGPU_VERSION,
  variable: "WGPU_LIB_PATH",
  builds: {
    "linux-x64": wgpu(
      "libwgpu_native.so",
      "linux-x86_64",
      "manylinux_2_28_x86_64",
      "be0d8270dd9d78e1039eeb413ee21be8a89776a752e56d6b0f57eefbbc2d749c",
    ),
    "linux-arm64": wgpu(
      "libwgpu_native.so",
      "linux-aarch64",
      "manylinux_2_28_aarch64",
      "51d8a711c9a687f824712c42a206800b69f14eff8667a88f2f86936cdef0ebd0",
    ),
    "darwin-arm64": wgpu(
      "libwgpu_native.dylib",
      "macos-aarch64",
      "macosx_11_0_arm64",
      "e72e8f1777dd0315bfee91c6b7e7b105234d5c1cc1621db4cf92ffee2ac2ae32",
    ),
    "darwin-x64": wgpu(
      "libwgpu_native.dylib",
      "macos-x86_64",
      "macosx_10_9_x86_64",
      "d5175b3c0675e7f66b677a7c28537ff260a698c82fff96179247cd9c9dec6c8d",
    ),
    "win32-x64": wgpu(
      "wgpu_native.dll",
      "windows-x86_64-msvc",
      "win_amd64",
      "5e26249c40dcdac43f5adca3195fcf40e4ec6c67472b38510165f411fcc198e7",
    ),
    "win32-arm64": wgpu(
      "wgpu_native.dll",
      "windows-aarch64-msvc",
      "win_arm64",
      "511b4494a0104c6cba25d7974b9bd31879169377dd68c732a885153952071330",
    ),
  },
};

const OPENBLAS_VERSION = "0.3.34.481.3";

function openblas(file: string, platform: string, sha256: string): Build {
  return {
    file,
    inside: /(^|\/)(lib)?scipy_openblas\.(so|dll)$/,
    sha256,
    wheel: { name: "scipy-openblas32", version: OPENBLAS_VERSION, platform },
  };
}

/** Downloaded where the system has no BLAS; macOS always has one. Its symbols begin with `scipy_`. */
export const OPENBLAS: NativeLibrary = {
  name: "openblas",
  version: OPENBLAS_VERSION,
  variable: "BLAS_LIB_PATH",
  builds: {
    "linux-x64": openblas(
      "libscipy_openblas.so",
      "manylinux_2_28_x86_64",
      "b396d74f12ab4319e6713b3287104d64245c76c60e5bd9eaeb4b447eda66a561",
    ),
    "linux-arm64": openblas(
      "libscipy_openblas.so",
      "manylinux_2_28_aarch64",
      "3530123bc482e51b554d3f282b35bc026e6b94c821472c740507f6417debe290",
    ),
    "win32-x64": openblas(
      "scipy_openblas.dll",
      "win_amd64",
      "009afd350d037a283b1c939398c8bd58c690bfdd9510523e5772fbd38c438037",
    ),
    "win32-arm64": openblas(
      "scipy_openblas.dll",
      "win_arm64",
      "3982f09d09633519bf2e953012f05f5b3f9f16b29429462d9d7cab92f387bb09",
    ),
  },
};

/** Where each system may have a fast BLAS. The reference BLAS is left out: it is slower than our WebAssembly. */
export const SYSTEM_BLAS: Readonly<Record<string, readonly { path: string; kind: string }[]>> = {
  darwin: [{ path: "/System/Library/Frameworks/Accelerate.framework/Accelerate", kind: "Accelerate" }],
  linux: [
    "libopenblas.so.0",
    "libopenblasp.so.0",
    "libopenblas.so",
    "/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
    "/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so.0",
    "/usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.so.0",
    "/usr/lib/aarch64-linux-gnu/openblas-serial/libopenblas.so.0",
  ].map((path) => ({ path, kind: "OpenBLAS" })),
  win32: ["libopenblas.dll", "openblas.dll"].map((path) => ({ path, kind: "OpenBLAS" })),
};
