/**
 * Atomic writes, and reading files that may be hostile: a run, a pack or a cache may come from a stranger, with links
 * that lead elsewhere, pipes that never end, and sizes that fill the memory.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  type Stats,
} from "node:fs";
import { dirname, join } from "node:path";
import { AlexNetError } from "../errors.ts";

// Windows lacks NOFOLLOW and NONBLOCK, and needs neither: its file systems hold no pipes, and O_EXCL refuses a link.
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** Flags to open a file for reading. Without O_NONBLOCK, opening a pipe waits for a writer. */
export const READ_FLAGS = O_RDONLY | O_NONBLOCK;

/** Writes bytes at the end of the file, or overwrites those at offset `at`. */
export type Append = (bytes: Uint8Array, at?: number) => void;

/**
 * Replaces a file atomically: writes under a temporary name, flushes to disk, renames. At any moment either the old or
 * the new file is there, complete.
 * @param previous name under which the old file is kept
 * @throws AlexNetError when it can't be written; the old file is then unchanged
 */
export async function replaceFile(
  path: string,
  write: (append: Append) => void | Promise<void>,
  previous?: string,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
    refuseSpecial(path);
    const file = createFile(temporary);
    try {
      await write((bytes, at) => writeAll(file, bytes, at));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (previous !== undefined) keepAs(previous, path);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    discard(temporary);
    if (error instanceof AlexNetError) throw error;
    throw new AlexNetError(`can't write ${path}: ${reason(error)}`, { cause: error });
  }
}

/** @throws an Error for a pipe or a device, such as /dev/null, which the rename would put a file in the place of */
function refuseSpecial(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  const kind = found && specialKind(found);
  if (kind) throw new Error(`it is a ${kind}`);
}

/** As `replaceFile`, for contents at hand. @param mode file mode of a new file @throws the system's error */
export function replaceFileSync(path: string, contents: Uint8Array | string, mode?: number): void {
  const temporary = temporaryName(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = createFile(temporary, mode);
    try {
      writeAll(file, bytesOf(contents));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    discard(temporary);
    throw error;
  }
}

/** Removes a file if possible: the error that led here is the one to report. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // For example, the disk has become read-only.
  }
}

/** An unguessable name beside `path`, so that nobody can plant a link there. */
function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString("hex")}.tmp`;
}

/** Opens a new file; fails if anything, even a dangling link, has that name. */
function createFile(path: string, mode?: number): number {
  return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

function bytesOf(contents: Uint8Array | string): Uint8Array {
  return typeof contents === "string" ? Buffer.from(contents) : contents;
}

function writeAll(file: number, bytes: Uint8Array, at?: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, at === undefined ? undefined : at + done);
  }
}

/** Appends to a file, creating it if needed. @throws the system's error, or an Error when it isn't a regular file */
export function appendToFile(path: string, contents: Uint8Array | string): void {
  const file = openToWrite(path, "add");
  try {
    writeAll(file, bytesOf(contents));
  } finally {
    closeSync(file);
  }
}

/** Opens a file to overwrite ("new") or append to ("add"), creating it if needed. @throws as `appendToFile` */
export function openToWrite(path: string, how: "new" | "add"): number {
  requireFile(lstatSync(path, { throwIfNoEntry: false }));
  const file = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (how === "add" ? O_APPEND : O_TRUNC));
  try {
    requireFile(fstatSync(file));
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/**
 * All of a regular file. Links are not followed, and pipes are not opened: that would wait for a writer.
 * @param limit maximum size in bytes
 * @throws the system's error, or an Error when it isn't a regular file or is too large
 */
export function readPlainFile(path: string, limit: number): Buffer {
  requireFile(lstatSync(path));
  return readAll(openSync(path, READ_FLAGS | O_NOFOLLOW), limit);
}

/** Reads an open file from its beginning, and closes it. */
function readAll(file: number, limit: number): Buffer {
  try {
    const found = fstatSync(file);
    requireFile(found);
    if (found.size > limit) throw new Error(`it has ${found.size} bytes; at most ${limit} are allowed here`);
    const bytes = Buffer.alloc(found.size);
    let length = 0;
    for (let read; length < bytes.length && (read = readSync(file, bytes, length, bytes.length - length, length)) > 0;)
      length += read;
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/** All of a file that the user named, which may be a link. @throws as `readPlainFile` */
export function readFileUpTo(path: string, limit: number): Buffer {
  return readAll(openToRead(path), limit);
}

/**
 * Opens a file, or a link to one, for reading. Never blocks, as opening a pipe would.
 * @returns the file descriptor
 * @throws the system's error, or an Error when it isn't a regular file
 */
export function openToRead(path: string): number {
  requireFile(statSync(path));
  return openSync(path, READ_FLAGS);
}

/** Hashed in pieces: allocating memory for the whole file would cost as much as the hash. */
const PIECE_BYTES = 256 * 1024;

/** The SHA-256 of an open file from its current position to its end, in hexadecimal. @throws the system's error */
export function sha256OfRest(file: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  const piece = new Uint8Array(PIECE_BYTES);
  for (let length; (length = readSync(file, piece)) > 0;) hash.update(piece.subarray(0, length));
  return hash.digest("hex");
}

/** The SHA-256 of a file, in hexadecimal. @throws the system's error, or an Error when it isn't a regular file */
export function sha256OfFile(path: string): string {
  const file = openToRead(path);
  try {
    return sha256OfRest(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Refuses an untrusted folder that holds anything but regular files and folders, so that nothing read or written there
 * lies elsewhere.
 * @param levels how deep to look
 * @throws AlexNetError that names the first other entry; the system's error
 */
export function requirePlainFolder(folder: string, levels = Infinity): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (levels > 1) requirePlainFolder(path, levels - 1);
    } else if (!entry.isFile()) {
      throw new AlexNetError(`${path} is ${kindOf(entry)}; only files and folders are allowed here: remove it`);
    }
  }
}

type FileKind = Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink" | "isFIFO" | "isSocket">;

/** What kind of special file it is; undefined for files and folders. */
export function specialKind(found: FileKind): "pipe" | "socket" | "device" | undefined {
  if (found.isFile() || found.isDirectory()) return undefined;
  return found.isFIFO() ? "pipe" : found.isSocket() ? "socket" : "device";
}

function requireFile(found: FileKind | undefined): void {
  if (found && !found.isFile()) throw new Error(`it is ${kindOf(found)}`);
}

function kindOf(found: FileKind): string {
  if (found.isSymbolicLink()) return "a symbolic link";
  return `a ${specialKind(found) ?? "folder"}`;
}

/** Gives a file, if it exists, a second name. A rename would leave it without its first one for a moment. */
function keepAs(name: string, path: string): void {
  if (!existsSync(path)) return;
  const link = temporaryName(name);
  try {
    linkSync(path, link);
  } catch (error) {
    // FAT and some network disks have no hard links: rename, and accept that moment.
    if (!NO_LINKS.includes((error as { code?: string }).code ?? "")) throw error;
    renameSync(path, name);
    return;
  }
  renameSync(link, name);
  // Renaming does nothing where both are names of one file already.
  rmSync(link, { force: true });
}

const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"];

/** Makes a rename survive a power cut. Windows has no such call and needs none. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Whether a name is a URL; opening one would only report that there is no such file. */
export function isUrl(name: string): boolean {
  return /^[a-z][a-z\d+.-]+:\/\//i.test(name);
}

export const NOT_FETCHED = "URLs are not fetched: download it first, and name the file";

/** The system's reason why a file operation failed, without the path, which the caller names anyway. */
export function reason(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  const known: Readonly<Record<string, string>> = {
    EACCES: "permission denied",
    ENOENT: "no such file or folder",
    ENOSPC: "the disk is full",
    EEXIST: "a file of that name exists",
    ENOTDIR: "part of the path is a file",
    EISDIR: "it is a folder",
    EROFS: "the disk is read-only",
    EPERM: "not permitted",
  };
  return known[code ?? ""] ?? message ?? String(error);
}
