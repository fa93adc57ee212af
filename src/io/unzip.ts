/** Reads one file out of a zip archive: wheels and releases are zips, and Bun has no reader of its own. */
import { inflateRawSync } from "node:zlib";
import { DeviceError } from "../errors.ts";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;

/**
 * The contents of the first file whose path fits.
 * @param limit the largest size in bytes that is unpacked
 * @throws DeviceError when the archive is damaged or has no such file
 */
export function unzip(archive: Uint8Array, fits: (path: string) => boolean, limit = 2 ** 28): Uint8Array {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  try {
    const end = findEnd(view);
    const count = view.getUint16(end + 10, true);
    let at = view.getUint32(end + 16, true);
    for (let i = 0; i < count; i++) {
      if (view.getUint32(at, true) !== ENTRY) throw new DeviceError("zip: the directory is damaged");
      const nameLength = view.getUint16(at + 28, true);
      const path = new TextDecoder().decode(archive.subarray(at + 46, at + 46 + nameLength));
      if (fits(path)) return unpack(archive, view, at, path, limit);
      at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    }
  } catch (error) {
    if (error instanceof RangeError) throw new DeviceError("zip: the archive ends too early", { cause: error });
    throw error;
  }
  throw new DeviceError("zip: the archive does not have the file");
}

/** The end-of-directory record, behind which only a comment of at most 64 KiB may stand. */
function findEnd(view: DataView): number {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - 0xffff); at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw new DeviceError("zip: not an archive");
}

function unpack(archive: Uint8Array, view: DataView, entry: number, path: string, limit: number): Uint8Array {
  const method = view.getUint16(entry + 10, true);
  const packedSize = view.getUint32(entry + 20, true);
  const size = view.getUint32(entry + 24, true);
  const local = view.getUint32(entry + 42, true);
  if (size > limit) throw new DeviceError(`zip: ${path} has ${size} bytes, more than ${limit}`);
  if (view.getUint32(local, true) !== LOCAL) throw new DeviceError(`zip: ${path} is damaged`);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const packed = archive.subarray(start, start + packedSize);
  if (packed.length !== packedSize) throw new DeviceError(`zip: ${path} ends too early`);
  if (method !== STORED && method !== DEFLATED) throw new DeviceError(`zip: ${path} is packed by method ${method}`);
  let data: Uint8Array;
  try {
    data = method === STORED ? packed : inflateRawSync(packed, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    throw new DeviceError(`zip: ${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
  if (data.length !== size) throw new DeviceError(`zip: ${path} has ${data.length} bytes instead of ${size}`);
  return data;
}
