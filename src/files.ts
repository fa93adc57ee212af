import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { AlexNetError } from "./errors.ts";

/** Writes some bytes at the end of a file being written, or over those that are `at` a place. */
export type Append = (bytes: Uint8Array, at?: number) => void;

/**
 * Writes a file so that at every moment either the old or the new one is there whole: under a temporary name, flushed
 * to the disk, renamed. @throws AlexNetError when it can't be written; the old file is then as it was.
 */
export async function replaceFile(path: string, write: (append: Append) => void | Promise<void>): Promise<void> {
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
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (existsSync(temporary)) rmSync(temporary);
    if (error instanceof AlexNetError) throw error;
    throw new AlexNetError(`can't write ${path}: ${reason(error)}`, { cause: error });
  }
}

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
