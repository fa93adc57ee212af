/**
 * What was downloaded is looked at again before each load: a native library runs with all that this process may do, and
 * one that was cut short or damaged on the disk crashes far from its cause. It costs the time to read and hash a file,
 * on another thread; nothing is remembered from one start to the next, so nothing that is remembered can be wrong.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
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
export async function requirePinned(pinned: Pinned): Promise<void> {
  compare(pinned, await sha256Of(pinned.path));
}

/** The same, where nothing can be awaited. */
export function requirePinnedNow(pinned: Pinned): void {
  compare(pinned, hash(read(pinned.path)));
}

/** For what was just downloaded. @param what for people @throws ChangedLibraryError */
export function requireSha256(what: string, data: Uint8Array, sha256: string): void {
  const found = hash(data);
  if (found !== sha256) throw new ChangedLibraryError(`${what} has the SHA-256 ${found}, not ${sha256}`);
}

/** In hexadecimal. @throws DeviceError when the file can't be read */
export async function sha256Of(path: string): Promise<string> {
  let bytes: ArrayBuffer;
  try {
    bytes = await Bun.file(path).arrayBuffer();
  } catch (error) {
    throw unreadable(path, error);
  }
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
}

function compare({ what, path, sha256, remedy }: Pinned, found: string): void {
  if (found === sha256) return;
  throw new ChangedLibraryError(
    `${what} is not the file that was published: the SHA-256 of ${path} is ${found}, not ${sha256}: ${remedy}`,
  );
}

function hash(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): DeviceError {
  return new DeviceError(`${path} can't be read: ${reason(error)}`, { cause: error });
}
