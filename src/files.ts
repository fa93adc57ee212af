import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { AlexNetError } from "./errors.ts";

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
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, "w");
    try {
      await write((bytes, at) => {
        for (let done = 0; done < bytes.length;) {
          done += writeSync(file, bytes, done, bytes.length - done, at === undefined ? undefined : at + done);
        }
      });
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (previous !== undefined) keepAs(previous, path);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (existsSync(temporary)) rmSync(temporary);
    if (error instanceof AlexNetError) throw error;
    throw new AlexNetError(`can't write ${path}: ${reason(error)}`, { cause: error });
  }
}

/** Gives a file, if it is there, a second name, so that it is never without its first one. */
function keepAs(name: string, path: string): void {
  if (!existsSync(path)) return;
  const link = `${name}.${process.pid}.tmp`;
  try {
    rmSync(link, { force: true });
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
