/**
 * The cache folder: downloaded libraries, weights and data, measurements, and notes on downloads that failed. A checkout
 * keeps it as .cache/; elsewhere it is where the platform keeps caches, never in node_modules.
 */
import { accessSync, constants, existsSync, mkdirSync, statSync, type Stats } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, isAbsolute, join, parse, resolve } from "node:path";
import { AlexNetError } from "../errors.ts";
import { replaceFileSync } from "../io/files.ts";
import { installation, ROOT } from "../program.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The cache folder, whose contents can be made again, or a folder below it. */
export function cacheFolder(...below: readonly string[]): string {
  return join(process.env.ALEXNET_CACHE || usualFolder(), ...below);
}

function usualFolder(): string {
  // A checkout that a package manager fetched is a package like others.
  const isCheckout = installation === "checkout" && !/[\\/]node_modules[\\/]/.test(ROOT);
  return isCheckout ? join(ROOT, ".cache") : platformFolder();
}

interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly temporary: string;
}

/** Where this platform keeps a program's cache; in the folder for temporary files when the user has no home. */
export function platformFolder({
  platform = process.platform,
  env = process.env,
  home = homeFolder(),
  temporary = tmpdir(),
}: Partial<Surroundings> = {}): string {
  // A home at the root of the disk is that of a user who has none.
  const hasHome = isAbsolute(home) && resolve(home) !== parse(resolve(home)).root;
  const given = platform === "win32" ? env.LOCALAPPDATA : platform === "darwin" ? undefined : env.XDG_CACHE_HOME;
  // The XDG specification says that a relative path is to be ignored.
  if (given && isAbsolute(given)) return join(given, "alexnet", ...(platform === "win32" ? ["Cache"] : []));
  if (!hasHome) return join(temporary, `alexnet-${process.getuid?.() ?? "cache"}`);
  if (platform === "win32") return join(home, "AppData", "Local", "alexnet", "Cache");
  return platform === "darwin" ? join(home, "Library", "Caches", "alexnet") : join(home, ".cache", "alexnet");
}

function homeFolder(): string {
  try {
    return homedir();
  } catch {
    // A user whom the system does not list.
    return "";
  }
}

/**
 * As `cacheFolder`, to be called before its contents are used.
 * @throws AlexNetError when others may write to it: they could swap a library after it was verified
 */
export function ownCacheFolder(...below: readonly string[]): string {
  for (let depth = 0; depth <= below.length; depth++) {
    const problem = othersMayWrite(cacheFolder(...below.slice(0, depth)));
    if (problem !== undefined) throw new AlexNetError(problem);
  }
  return cacheFolder(...below);
}

/** What is wrong with a folder that others may write to. Not checked on Windows, whose permissions work differently. */
function othersMayWrite(folder: string): string | undefined {
  if (process.platform === "win32") return undefined;
  let found: Stats | undefined;
  try {
    found = statSync(folder, { throwIfNoEntry: false });
  } catch {
    // For example, part of the path is a file: writing there will report it.
  }
  if (!found) return undefined;
  const { uid, gid, mode } = found;
  const say = (what: string, remedy: string) =>
    `the cache folder ${folder} ${what}: ${remedy}, or set ALEXNET_CACHE to a folder of your own`;
  // The program's owner and root could change anything anyway.
  const program = installation === "executable" ? process.execPath : ROOT;
  const trusted = [process.getuid!(), statSync(program).uid, 0];
  if (!trusted.includes(uid)) return say(`belongs to another user (${uid})`, "make it your own (chown)");
  // Many systems give each user a private group with the same number.
  const byGroup = (mode & 0o020) !== 0 && gid !== uid;
  if (!byGroup && (mode & 0o002) === 0) return undefined;
  return say("is writable by others", "make it private (chmod go-w)");
}

/** Error codes when a folder can't be created or written to. */
const UNWRITABLE = ["EROFS", "EACCES", "EPERM", "ENOSPC", "ENOTDIR", "EEXIST"];

/** What to do about an error whose reason, or whose cause's, is an unwritable cache folder; undefined for others. */
export function cacheAdvice(error: unknown): string | undefined {
  const codes = [error, (error as { cause?: unknown }).cause].map(
    (each) => (each as { code?: string } | undefined)?.code,
  );
  const isOne = codes.some((code) => code !== undefined && UNWRITABLE.includes(code));
  return isOne ? "set ALEXNET_CACHE to a writable folder" : undefined;
}

/** Creates the folder of a file to be written. @throws the system's error when it can't be written there */
export function requireWritable(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  accessSync(dirname(path), constants.W_OK);
}

/** Where a file of a library is kept. */
export function cached(library: string, file: string): string {
  return join(cacheFolder("native"), library, file);
}

/** The note that a download failed. For a day it is not tried again, so that working offline isn't held up each time. */
export function failureNote(library: string): string {
  return cached(library, "unavailable.txt");
}

/** Keeps the note, if it can be written. */
export function noteFailure(library: string, message: string): void {
  try {
    replaceFileSync(failureNote(library), message);
  } catch {
    // Without the note, the next start tries again.
  }
}

export function failedRecently(library: string): boolean {
  const note = failureNote(library);
  // A note from the future was written before the clock was corrected.
  return existsSync(note) && Math.abs(Date.now() - statSync(note).mtimeMs) < DAY_MS;
}
