/**
 * Reading and writing files that may not be what they seem: a run, a pack or a cache may have come from a stranger, with
 * links that lead elsewhere, pipes that never end, and sizes that fill the memory.
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

// Windows has neither flag: there are no pipes among its files, and O_EXCL alone refuses a link.
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** Flags to open for reading. Without O_NONBLOCK, which Windows lacks, opening a pipe waits for a writer. */
export const READ_AT_ONCE = O_RDONLY | O_NONBLOCK;

/** Writes some bytes at the end of a file being written, or over those that are `at` a place. */
export type Append = (bytes: Uint8Array, at?: number) => void;

/**
 * Writes a file so that at every moment either the old or the new one is there whole: under a temporary name, flushed
 * to the disk, renamed.
 * @param previous the name that the old one then has
 * @throws AlexNetError when it can't be written; the old file is then as it was
 */
export async function replaceFile(
  path: string,
  write: (append: Append) => void | Promise<void>,
  previous?: string,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
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

/** The same for contents that are at hand. @param mode of a new file @throws what the system says */
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

/** Removes a file as far as that can be done: what went wrong before is what has to be said. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A disk that has become read-only, for one.
  }
}

/** A name beside `path` that nobody could have guessed, to put a link there. */
function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString("hex")}.tmp`;
}

/** Opens a file that must not be there yet, not even as a link. */
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

/** Adds to the end of a file, which is made if it is not there. @throws what the system says, or that it is no file */
export function appendToFile(path: string, contents: Uint8Array | string): void {
  const file = openToWrite(path, "add");
  try {
    writeAll(file, bytesOf(contents));
  } finally {
    closeSync(file);
  }
}

/** Opens a file to be written from its beginning, or added to; it is made if it is not there. @throws as `appendToFile` */
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
 * All of a file. Links are not followed, and nothing but a file is opened: a pipe would wait for somebody to write to it.
 * @param limit it may have no more bytes
 * @throws what the system says, or that it is no file, or too large
 */
export function readPlainFile(path: string, limit: number): Buffer {
  requireFile(lstatSync(path));
  return readAll(openSync(path, READ_AT_ONCE | O_NOFOLLOW), limit);
}

/** Reads a file from its beginning, and closes it. */
function readAll(file: number, limit: number): Buffer {
  try {
    const found = fstatSync(file);
    requireFile(found);
    if (found.size > limit) throw new Error(`it has ${found.size} bytes, more than the ${limit} allowed here`);
    const bytes = Buffer.alloc(found.size);
    let length = 0;
    for (let read; length < bytes.length && (read = readSync(file, bytes, length, bytes.length - length, length)) > 0;)
      length += read;
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/** All of a file that the user named; a link to one will do. @throws as `readPlainFile` */
export function readFileUpTo(path: string, limit: number): Buffer {
  return readAll(openToRead(path), limit);
}

/**
 * Opens a file, or a link to one, to be read. It never waits, as opening a pipe would.
 * @returns its descriptor
 * @throws what the system says, or that it is no file
 */
export function openToRead(path: string): number {
  requireFile(statSync(path));
  return openSync(path, READ_AT_ONCE);
}

/** Read in pieces: fresh memory for the whole file would cost as much as the hash. */
const PIECE_BYTES = 256 * 1024;

/** The SHA-256 of an open file, from where it stands to its end, in hexadecimal. @throws what the system says */
export function sha256OfRest(file: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  const piece = new Uint8Array(PIECE_BYTES);
  for (let length; (length = readSync(file, piece)) > 0;) hash.update(piece.subarray(0, length));
  return hash.digest("hex");
}

/**
 * Makes sure that there are only files and folders in a folder that somebody else may have made, so that nothing that is
 * read or written there lies elsewhere.
 * @param levels how deep to look
 * @throws AlexNetError that names the first thing that is neither; what the system says
 */
export function requirePlainFolder(folder: string, levels = Infinity): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (levels > 1) requirePlainFolder(path, levels - 1);
    } else if (!entry.isFile()) {
      throw new AlexNetError(`${path} is ${kindOf(entry)}: here may be files and folders only, so remove it`);
    }
  }
}

type Kind = Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink" | "isFIFO" | "isSocket">;

/** Says what something is that is neither a file nor a folder; undefined for those. */
export function specialKind(found: Kind): "pipe" | "socket" | "device" | undefined {
  if (found.isFile() || found.isDirectory()) return undefined;
  return found.isFIFO() ? "pipe" : found.isSocket() ? "socket" : "device";
}

function requireFile(found: Kind | undefined): void {
  if (found && !found.isFile()) throw new Error(`it is ${kindOf(found)}`);
}

function kindOf(found: Kind): string {
  if (found.isSymbolicLink()) return "a symbolic link";
  return `a ${specialKind(found) ?? "folder"}`;
}

/** Gives a file, if it is there, a second name, so that it is never without its first one. */
function keepAs(name: string, path: string): void {
  if (!existsSync(path)) return;
  const link = temporaryName(name);
  try {
    linkSync(path, link);
  } catch (error) {
    // FAT and some network disks have no second names: for a moment there is only the old file, under the new name.
    if (!NO_LINKS.includes((error as { code?: string }).code ?? "")) throw error;
    renameSync(path, name);
    return;
  }
  renameSync(link, name);
  // Where both are names of one file already, that did nothing.
  rmSync(link, { force: true });
}

const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"];

/** Makes a rename last through a power cut. Windows has no such call and needs none. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Whether a name is a URL, of which the system would only say that there is no such file. */
export function isUrl(name: string): boolean {
  return /^[a-z][a-z\d+.-]+:\/\//i.test(name);
}

export const NOT_FETCHED = "URLs are not fetched: download it first, and name the file";

/** What the system says of a failed file operation, without the path that the caller names anyway. */
export function reason(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  const known: Readonly<Record<string, string>> = {
    EACCES: "permission denied",
    ENOENT: "no such file or folder",
    ENOSPC: "the disk is full",
    EEXIST: "there is a file of that name",
    ENOTDIR: "part of the path is a file",
    EISDIR: "it is a folder",
    EROFS: "the disk is read-only",
    EPERM: "not permitted",
  };
  return known[code ?? ""] ?? message ?? String(error);
}
