/** The folder of what is kept between runs: native libraries that were fetched, and notes on those that could not be. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The folder of one kind of things that can be had again. */
export function cacheFolder(kind: string): string {
  return join(process.env.ALEXNET_CACHE || fileURLToPath(new URL("../../.cache", import.meta.url)), kind);
}

/** What the system says where a folder can't be made or written to. */
const UNWRITABLE = ["EROFS", "EACCES", "EPERM", "ENOSPC", "ENOTDIR", "EEXIST"];

/** What to do about an error, or its cause, that the cache folder can't be written to; undefined for others. */
export function cacheAdvice(error: unknown): string | undefined {
  const codes = [error, (error as { cause?: unknown }).cause].map(
    (each) => (each as { code?: string } | undefined)?.code,
  );
  const isOne = codes.some((code) => code !== undefined && UNWRITABLE.includes(code));
  return isOne ? "set ALEXNET_CACHE to a folder that can be written to" : undefined;
}

/** @throws what the system says when a file can't be written there */
export function requireWritable(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  accessSync(dirname(path), constants.W_OK);
}

/** Where a file of a library is kept. */
export function cached(library: string, file: string): string {
  return join(cacheFolder("native"), library, file);
}

/** Writes a file so that it is either whole or not there, also when several processes do it at once. */
export function writeAtomically(path: string, data: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, "w", 0o755);
    try {
      writeFileSync(file, data);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The note that a library could not be fetched: for a day, so that work without a network isn't held up each time. */
export function failureNote(library: string): string {
  return cached(library, "unavailable.txt");
}

export function failedLately(library: string): boolean {
  const note = failureNote(library);
  // A note from the future was written before the clock was set right.
  return existsSync(note) && Math.abs(Date.now() - statSync(note).mtimeMs) < DAY_MS;
}
