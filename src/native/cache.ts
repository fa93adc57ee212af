/** The folder of what is kept between runs: native libraries that were fetched, and notes on those that could not be. */
import { accessSync, constants, existsSync, mkdirSync, statSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AlexNetError } from "../errors.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The folder of what can be had again, or one in it. */
export function cacheFolder(...below: readonly string[]): string {
  return join(process.env.ALEXNET_CACHE || fileURLToPath(new URL("../../.cache", import.meta.url)), ...below);
}

/**
 * The same, before what it holds is used.
 * @throws AlexNetError when others may write to it: they could exchange a library after it was found to be right
 */
export function ownCacheFolder(...below: readonly string[]): string {
  for (let depth = 0; depth <= below.length; depth++) {
    const problem = othersMayWrite(cacheFolder(...below.slice(0, depth)));
    if (problem !== undefined) throw new AlexNetError(problem);
  }
  return cacheFolder(...below);
}

/** Says so when others may write to a folder. On Windows, whose rights are of another kind, nothing is known. */
function othersMayWrite(folder: string): string | undefined {
  if (process.platform === "win32") return undefined;
  let found: Stats | undefined;
  try {
    found = statSync(folder, { throwIfNoEntry: false });
  } catch {
    // Part of the path is a file, say: that is said by who writes there.
  }
  if (!found) return undefined;
  const { uid, gid, mode } = found;
  const say = (what: string, remedy: string) =>
    `the cache folder ${folder} ${what}: ${remedy}, or set ALEXNET_CACHE to a folder of your own`;
  // Whoever owns the program can change all of it, and root anything.
  const trusted = [process.getuid!(), statSync(fileURLToPath(import.meta.url)).uid, 0];
  if (!trusted.includes(uid)) return say(`belongs to another user (${uid})`, "make it your own (chown)");
  // Many systems give each user a group of the same number with nobody else in it.
  const byGroup = (mode & 0o020) !== 0 && gid !== uid;
  if (!byGroup && (mode & 0o002) === 0) return undefined;
  return say("can be written to by others", "take that right from them (chmod go-w)");
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

/** The note that a library could not be fetched: for a day, so that work without a network isn't held up each time. */
export function failureNote(library: string): string {
  return cached(library, "unavailable.txt");
}

export function failedLately(library: string): boolean {
  const note = failureNote(library);
  // A note from the future was written before the clock was set right.
  return existsSync(note) && Math.abs(Date.now() - statSync(note).mtimeMs) < DAY_MS;
}
