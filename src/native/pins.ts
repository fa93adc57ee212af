/**
 * Downloaded libraries are hashed before each load: a native library has all of this process's rights, and one that was
 * truncated or damaged on disk crashes far from the cause. It costs a millisecond per megabyte (9 MB for wgpu-native,
 * 25 MB for OpenBLAS, 18 MB for @napi-rs/image). No result is kept between starts, so none can be stale.
 */
import { closeSync, existsSync, fstatSync } from "node:fs";
import { ChangedLibraryError, DeviceError } from "../errors.ts";
import { openToRead, reason, sha256OfRest } from "../io/files.ts";
import { onDisk } from "./embedded.ts";

/** A file whose SHA-256 is known in advance. */
export interface Pinned {
  /** For messages: the library and its version. */
  readonly what: string;
  readonly path: string;
  readonly sha256: string;
  /** What to do when the hash differs. */
  readonly remedy: string;
}

function requireHash({ what, path, sha256, remedy }: Pinned, found: string): void {
  if (found === sha256) return;
  throw new ChangedLibraryError(
    `${what} is not the published file: the SHA-256 of ${path} is ${found}, not ${sha256}: ${remedy}`,
  );
}

/** Descriptors of verified libraries by device and inode, open for the life of the process. */
const held = new Map<string, number>();

/**
 * Checks a library about to be loaded.
 * @returns where to load it from; on Linux the very file that was hashed, even if its name has been taken since
 * @throws ChangedLibraryError when the hash differs; DeviceError when the file can't be read
 */
export function pinnedPath(published: Pinned): string {
  const pinned = { ...published, path: onDisk(published.path) };
  const file = opened(pinned.path);
  let isHeld = false;
  try {
    requireHash(pinned, hashOf(pinned.path, file));
    // Wine too shows a folder of that name, in which Windows' loader finds nothing.
    if (process.platform !== "linux" || !existsSync(DESCRIPTORS)) return pinned.path;
    const { dev, ino } = fstatSync(file);
    const key = `${dev} ${ino}`;
    isHeld = !held.has(key);
    if (isHeld) held.set(key, file);
    return `${DESCRIPTORS}/${held.get(key)}`;
  } finally {
    if (!isHeld) closeSync(file);
  }
}

/** Linux lists the process's open files here, by descriptor. */
const DESCRIPTORS = "/proc/self/fd";

/** For data just downloaded. @param what for messages @throws ChangedLibraryError */
export function requireSha256(what: string, data: Uint8Array, sha256: string): void {
  const found = new Bun.CryptoHasher("sha256").update(data).digest("hex");
  if (found !== sha256) throw new ChangedLibraryError(`${what} has the SHA-256 ${found}, not ${sha256}`);
}

/** In hexadecimal. @throws DeviceError when the file can't be read */
export function sha256Of(path: string): string {
  const file = opened(path);
  try {
    return hashOf(path, file);
  } finally {
    closeSync(file);
  }
}

function opened(path: string): number {
  try {
    return openToRead(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function hashOf(path: string, file: number): string {
  try {
    return sha256OfRest(file);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): DeviceError {
  return new DeviceError(`${path} can't be read: ${reason(error)}`, { cause: error });
}
