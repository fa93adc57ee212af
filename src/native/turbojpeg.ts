/** Finds libjpeg-turbo: the package's or the system's, called by bun:ffi, otherwise our WebAssembly build. */
import { dlopen, FFIType, ptr, type Pointer } from "bun:ffi";
import { DeviceError } from "../errors.ts";
import { unverified, type FoundLibrary } from "./libraries.ts";
import { packagedFiles } from "./packages.ts";
import { pinnedPath } from "./pins.ts";
import type { Address, Turbojpeg } from "./turbojpeg_api.ts";
import { openTurbojpegWasm } from "./turbojpeg_wasm.ts";

const { i32, u64, cstring } = FFIType;
const pointer = FFIType.ptr;
const FUNCTIONS = {
  tj3Init: { args: [i32], returns: pointer },
  tj3Destroy: { args: [pointer], returns: FFIType.void },
  tj3Set: { args: [pointer, i32, i32], returns: i32 },
  tj3Get: { args: [pointer, i32], returns: i32 },
  tj3DecompressHeader: { args: [pointer, pointer, u64], returns: i32 },
  tj3Decompress8: { args: [pointer, pointer, u64, pointer, i32, i32], returns: i32 },
  //                   handle, pixels, width, pitch, height, format, &file, &bytes
  tj3Compress8: { args: [pointer, pointer, i32, i32, i32, i32, pointer, pointer], returns: i32 },
  tj3JPEGBufSize: { args: [i32, i32, i32], returns: u64 },
  tj3GetErrorCode: { args: [pointer], returns: i32 },
  tj3GetErrorStr: { args: [pointer], returns: cstring },
} as const;

/** Tried after the package's own build: where package managers and libjpeg-turbo's installer put it. */
const SYSTEM: Readonly<Record<string, readonly string[]>> = {
  linux: ["libturbojpeg.so.0"],
  darwin: [
    "/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/usr/local/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/opt/libjpeg-turbo/lib64/libturbojpeg.dylib",
  ],
  win32: ["C:\\libjpeg-turbo64\\bin\\turbojpeg.dll", "turbojpeg.dll"],
};

/** @throws DeviceError, ChangedLibraryError as `findTurbojpeg` */
export function openTurbojpeg(): Turbojpeg {
  const library = findTurbojpeg();
  if (library === undefined) return openTurbojpegWasm();
  const { symbols: tj } = dlopen(library.loadPath, FUNCTIONS);
  const call = tj as unknown as Pick<Turbojpeg, Exclude<keyof typeof FUNCTIONS, "tj3Compress8">>;
  const inPlace = <T>(bytes: Uint8Array, use: (at: Address) => T): T => use(ptr(bytes));
  return {
    ...call,
    tj3Init: (kind) => call.tj3Init(kind) ?? 0,
    tj3JPEGBufSize: (...size) => Number(call.tj3JPEGBufSize(...size)),
    tj3GetErrorStr: (handle) => String(call.tj3GetErrorStr(handle)),
    compress(handle, pixels, width, height, format, file) {
      const [place, size] = [BigUint64Array.of(BigInt(ptr(file))), BigUint64Array.of(BigInt(file.length))];
      const [encoder, from] = [handle as Pointer, pixels as Pointer];
      const status = tj.tj3Compress8(encoder, from, width, 0, height, format, ptr(place), ptr(size));
      return status === 0 ? Number(size[0]) : undefined;
    },
    read: inPlace,
    update: inPlace,
  };
}

/**
 * A native library, version 3 or later; undefined when there is none, or TURBOJPEG_LIB_PATH is `off`.
 * @throws DeviceError when TURBOJPEG_LIB_PATH names a library that can't be used; ChangedLibraryError when the package's
 * file is not the published one
 */
export function findTurbojpeg(): FoundLibrary | undefined {
  const given = process.env.TURBOJPEG_LIB_PATH;
  if (given === "off") return undefined;
  if (given) {
    if (works(given)) return unverified(given, "variable");
    throw new DeviceError(
      `TURBOJPEG_LIB_PATH is ${given}, which can't be loaded or is older than TurboJPEG 3: correct or unset it`,
    );
  }
  // The package is a Node add-on. On Linux the library is a file beside it; on macOS the add-on contains and exports it;
  // on Windows it exports nothing.
  for (const file of packagedFiles("@julusian/jpeg-turbo")) {
    const loadPath = pinnedPath(file);
    if (works(loadPath)) return { path: file.path, loadPath, origin: "pinned" };
  }
  const path = (SYSTEM[process.platform] ?? []).find(works);
  return path === undefined ? undefined : unverified(path, "system");
}

function works(path: string): boolean {
  try {
    dlopen(path, { tj3Init: { args: [FFIType.i32], returns: FFIType.ptr } });
    return true;
  } catch {
    return false;
  }
}
