/**
 * What was downloaded is looked at again before each load: a native library runs with all that this process may do, and
 * one that was cut short or damaged on the disk crashes far from its cause. It costs a millisecond a megabyte (9 MB for
 * wgpu-native, 25 MB for OpenBLAS, 18 MB for @napi-rs/image); nothing is remembered from one start to the next, so
 * nothing that is remembered can be wrong.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { ChangedLibraryError, DeviceError } from "../errors.ts";
import { reason } from "../files.ts";

/** A file whose SHA-256 is known beforehand. */
export interface Pinned {
  /** For people: the library and its version. */
  readonly what: string;
  readonly path: string;
  readonly sha256: string;
  /** What to do when it is another file. */
  readonly remedy: string;
}

/** @throws ChangedLibraryError when it is another file; DeviceError when it can't be read */
export function requirePinned({ what, path, sha256, remedy }: Pinned): void {
  const found = sha256Of(path);
  if (found === sha256) return;
  throw new ChangedLibraryError(
    `${what} is not the file that was published: the SHA-256 of ${path} is ${found}, not ${sha256}: ${remedy}`,
  );
}

/** For what was just downloaded. @param what for people @throws ChangedLibraryError */
export function requireSha256(what: string, data: Uint8Array, sha256: string): void {
  const found = new Bun.CryptoHasher("sha256").update(data).digest("hex");
  if (found !== sha256) throw new ChangedLibraryError(`${what} has the SHA-256 ${found}, not ${sha256}`);
}

/** Read in pieces: fresh memory for the whole file would cost as much as the hash. */
const PIECE_BYTES = 256 * 1024;

/** In hexadecimal. @throws DeviceError when the file can't be read */
export function sha256Of(path: string): string {
  const hash = new Bun.CryptoHasher("sha256");
  const piece = new Uint8Array(PIECE_BYTES);
  try {
    const file = openSync(path, "r");
    try {
      for (let length; (length = readSync(file, piece)) > 0;) hash.update(piece.subarray(0, length));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new DeviceError(`${path} can't be read: ${reason(error)}`, { cause: error });
  }
  return hash.digest("hex");
}
