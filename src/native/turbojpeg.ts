/** Finds libjpeg-turbo's TurboJPEG library: it decodes JPEG about twice as fast as what @napi-rs/image brings along. */
import { dlopen, FFIType } from "bun:ffi";
import { DeviceError } from "../errors.ts";
import type { FoundLibrary } from "./libraries.ts";
import { packagedFiles } from "./packages.ts";
import { requirePinned } from "./pins.ts";

/** By `process.platform`, after the package's own build: what package managers and libjpeg-turbo's installer put there. */
const SYSTEM: Readonly<Record<string, readonly string[]>> = {
  linux: ["libturbojpeg.so.0"],
  darwin: [
    "/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/usr/local/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/opt/libjpeg-turbo/lib64/libturbojpeg.dylib",
  ],
  win32: ["C:\\libjpeg-turbo64\\bin\\turbojpeg.dll", "turbojpeg.dll"],
};

/**
 * Undefined when there is none. Version 3 or later.
 * @throws DeviceError when TURBOJPEG_LIB_PATH names a library that can't be used; ChangedLibraryError when the package's
 * is not the one that was published
 */
export function findTurbojpeg(): FoundLibrary | undefined {
  const given = process.env.TURBOJPEG_LIB_PATH;
  if (given === "off") return undefined;
  if (given) {
    if (works(given)) return { path: given, origin: "variable" };
    throw new DeviceError(
      `TURBOJPEG_LIB_PATH is ${given}, which can't be loaded or is older than TurboJPEG 3: correct or unset it`,
    );
  }
  // The package is a Node add-on. On Linux the library lies beside the add-on; elsewhere it is part of it, and can be
  // called where the add-on exports it.
  for (const file of packagedFiles("@julusian/jpeg-turbo")) {
    requirePinned(file);
    if (works(file.path)) return { path: file.path, origin: "pinned" };
  }
  const path = (SYSTEM[process.platform] ?? []).find(works);
  return path === undefined ? undefined : { path, origin: "system" };
}

function works(path: string): boolean {
  try {
    dlopen(path, { tj3Init: { args: [FFIType.i32], returns: FFIType.ptr } });
    return true;
  } catch {
    return false;
  }
}
