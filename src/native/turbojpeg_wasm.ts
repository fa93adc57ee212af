/**
 * libjpeg-turbo as WebAssembly (kernels/jpeg/build.sh): the same pixels and files as the native library, two to three
 * times slower.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { Address, Turbojpeg } from "./turbojpeg_api.ts";

export const TURBOJPEG_WASM = {
  path: fileURLToPath(new URL("../../kernels/jpeg/turbojpeg.wasm.gz", import.meta.url)),
  version: "3.1.0 (WebAssembly)",
};

/** Memory grown beyond this for a large image is given back. */
const KEEP_BYTES = 64 * 2 ** 20;

interface Exports extends Omit<Turbojpeg, "tj3GetErrorStr" | "compress" | "read" | "update"> {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(bytes: number): Address;
  free(at: Address): void;
  tj3GetErrorStr(handle: Address): Address;
  tj3Compress8(handle: Address, pixels: Address, ...rest: number[]): number;
}

export function openTurbojpegWasm(): Turbojpeg {
  const module = new WebAssembly.Module(gunzipSync(readFileSync(TURBOJPEG_WASM.path)));
  let exports = instantiate(module);
  const view = (at: Address, bytes: number) => new Uint8Array(exports.memory.buffer, at, bytes);
  /** @param back whether to copy back what the library wrote */
  const lend = <T>(bytes: Uint8Array, back: boolean, use: (at: Address) => T): T => {
    const at = exports.malloc(bytes.length);
    if (at === 0) throw new Error(`libjpeg-turbo: no memory for ${bytes.length} bytes`);
    try {
      view(at, bytes.length).set(bytes);
      const result = use(at);
      if (back) bytes.set(view(at, bytes.length));
      return result;
    } finally {
      exports.free(at);
    }
  };
  return {
    tj3Init: (kind) => {
      // WebAssembly memory never shrinks. Without a handle, nobody holds an address in it either.
      if (exports.memory.buffer.byteLength > KEEP_BYTES) exports = instantiate(module);
      return exports.tj3Init(kind);
    },
    tj3Destroy: (handle) => exports.tj3Destroy(handle),
    tj3Set: (...all) => exports.tj3Set(...all),
    tj3Get: (...all) => exports.tj3Get(...all),
    tj3DecompressHeader: (...all) => exports.tj3DecompressHeader(...all),
    tj3Decompress8: (...all) => exports.tj3Decompress8(...all),
    tj3JPEGBufSize: (...all) => exports.tj3JPEGBufSize(...all),
    tj3GetErrorCode: (handle) => exports.tj3GetErrorCode(handle),
    tj3GetErrorStr: (handle) => {
      const at = exports.tj3GetErrorStr(handle);
      const rest = Buffer.from(exports.memory.buffer, at);
      return rest.toString("latin1", 0, rest.indexOf(0));
    },
    compress: (handle, pixels, width, height, format, file) =>
      lend(file, true, (at) => {
        const words = Uint32Array.of(at, file.length);
        const status = lend(new Uint8Array(words.buffer), true, (place) =>
          exports.tj3Compress8(handle, pixels, width, 0, height, format, place, place + 4),
        );
        return status === 0 ? words[1]! : undefined;
      }),
    read: (bytes, use) => lend(bytes, false, use),
    update: (bytes, use) => lend(bytes, true, use),
  };
}

/** The library gets no files and no environment. */
function instantiate(module: WebAssembly.Module): Exports {
  const BAD_FILE = 8;
  let memory: WebAssembly.Memory | undefined;
  const system = {
    environ_sizes_get: (count: Address, bytes: Address) => {
      for (const at of [count, bytes]) new DataView(memory!.buffer).setUint32(at, 0, true);
      return 0;
    },
    environ_get: () => 0,
    fd_close: () => BAD_FILE,
    fd_seek: () => BAD_FILE,
    fd_write: () => BAD_FILE,
    proc_exit: (status: number) => {
      throw new Error(`libjpeg-turbo: ended with status ${status}`);
    },
  };
  const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: system });
  const library = exports as unknown as Exports;
  memory = library.memory;
  library._initialize();
  return library;
}
