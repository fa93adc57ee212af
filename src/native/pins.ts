/**
 * What was downloaded is looked at again before each load: a native library runs with all that this process may do, and
 * one that was cut short or damaged on the disk crashes far from its cause. It costs a millisecond a megabyte (9 MB for
 * wgpu-native, 25 MB for OpenBLAS, 18 MB for @napi-rs/image); nothing is remembered from one start to the next, so
 * nothing that is remembered can be wrong.
 */
import { closeSync, existsSync, fstatSync } from "node:fs";
import { ChangedLibraryError, DeviceError } from "../errors.ts";
import { openToRead, reason, sha256OfRest } from "../io/files.ts";

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
export function requirePinned(pinned: Pinned): void {
  requireHash(pinned, sha256Of(pinned.path));
}

function requireHash({ what, path, sha256, remedy }: Pinned, found: string): void {
  if (found === sha256) return;
  throw new ChangedLibraryError(
    `${what} is not the file that was published: the SHA-256 of ${path} is ${found}, not ${sha256}: ${remedy}`,
  );
}

/** Descriptors of libraries that were found to be right, by device and inode: open as long as the process lives. */
const held = new Map<string, number>();

/**
 * As `requirePinned`, for a library that is about to be loaded.
 * @returns where to load it from. On Linux that is the very file that was hashed, whatever has taken its name since.
 */
export function pinnedPath(pinned: Pinned): string {
  const file = opened(pinned.path);
  let isHeld = false;
  try {
    requireHash(pinned, hashOf(pinned.path, file));
    if (!existsSync(DESCRIPTORS)) return pinned.path;
    const { dev, ino } = fstatSync(file);
    const key = `${dev} ${ino}`;
    isHeld = !held.has(key);
    if (isHeld) held.set(key, file);
    return `${DESCRIPTORS}/${held.get(key)}`;
  } finally {
    if (!isHeld) closeSync(file);
  }
}

/** Linux has the process's open files here, by their descriptors. */
const DESCRIPTORS = "/proc/self/fd";

/** For what was just downloaded. @param what for people @throws ChangedLibraryError */
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
