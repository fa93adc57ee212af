/** Finds libjpeg-turbo's TurboJPEG library: it decodes JPEG about twice as fast as what @napi-rs/image brings along. */
import { dlopen, FFIType } from "bun:ffi";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DeviceError } from "../errors.ts";

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
 * Its path, or a name that the system's loader knows; undefined when there is none. Version 3 or later.
 * @throws DeviceError when TURBOJPEG_LIB_PATH names a library that can't be used
 */
export function findTurbojpeg(): string | undefined {
  const given = process.env.TURBOJPEG_LIB_PATH;
  if (given === "off") return undefined;
  if (given) {
    if (works(given)) return given;
    throw new DeviceError(
      `TURBOJPEG_LIB_PATH is ${given}, which can't be loaded or is older than TurboJPEG 3: correct or unset it`,
    );
  }
  return [...packaged(), ...(SYSTEM[process.platform] ?? [])].find(works);
}

/**
 * The package is a Node add-on. On Linux the library lies beside the add-on; elsewhere it is part of it, and can be
 * called where the add-on exports it.
 */
function packaged(): string[] {
  let root: string;
  try {
    root = dirname(fileURLToPath(import.meta.resolve("@julusian/jpeg-turbo/package.json")));
  } catch {
    return [];
  }
  const platform = `jpeg-turbo-${process.platform}-${process.arch}`;
  const folders = process.platform === "linux" ? [platform, `${platform}-musl`] : [platform];
  return folders
    .flatMap((folder) =>
      ["libturbojpeg.so.0", "node-napi-v10.node"].map((file) => join(root, "prebuilds", folder, file)),
    )
    .filter((path) => existsSync(path));
}

function works(path: string): boolean {
  try {
    dlopen(path, { tj3Init: { args: [FFIType.i32], returns: FFIType.ptr } });
    return true;
  } catch {
    return false;
  }
}
