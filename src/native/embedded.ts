/**
 * Files in an executable that have to be opened: libraries, fonts, C code, weights. They are in the executable itself,
 * where only functions that read a whole file find them, so they are written out: into the cache folder or, where that
 * can't be written to, into memory (Linux).
 */
import { dlopen, ptr } from "bun:ffi";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { DeviceError } from "../errors.ts";
import { reason, replaceFileSync } from "../io/files.ts";
import { installation, ROOT } from "../program.ts";
import { cacheAdvice, cacheFolder, ownCacheFolder } from "./cache.ts";
import { LIBC } from "./libc.ts";

const written = new Map<string, string>();

/** A path at which the system finds this file of the program. @throws DeviceError when it can't be written out */
export function onDisk(path: string): string {
  if (installation !== "executable" || !path.startsWith(ROOT)) return path;
  const known = written.get(path) ?? writeOut(path);
  written.set(path, known);
  return known;
}

function writeOut(path: string): string {
  const contents = readFileSync(path);
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 16);
  const kept = join(cacheFolder("embedded"), hash, basename(path));
  try {
    ownCacheFolder("embedded", hash);
    if (!holds(kept, contents)) replaceFileSync(kept, contents);
    return kept;
  } catch (error) {
    const inMemory = process.platform === "linux" ? writeToMemory(hash, contents) : undefined;
    if (inMemory !== undefined) return inMemory;
    const advice = cacheAdvice(error) ?? "set ALEXNET_CACHE to another folder";
    throw new DeviceError(`can't write ${basename(path)} to ${kept}: ${reason(error)}: ${advice}`, { cause: error });
  }
}

function holds(path: string, contents: Buffer): boolean {
  try {
    return readFileSync(path).equals(contents);
  } catch {
    return false;
  }
}

/** Linux lists a process's open files here. */
const DESCRIPTORS = "/proc/self/fd";

/** A file without a place on disk. The threads of a process share it. */
function writeToMemory(hash: string, contents: Buffer): string | undefined {
  const title = `alexnet-${hash}`;
  for (const file of readdirSync(DESCRIPTORS)) {
    const path = `${DESCRIPTORS}/${file}`;
    if (linkOf(path).startsWith(`/memfd:${title}`) && holds(path, contents)) return path;
  }
  const { symbols } = dlopen(LIBC, { memfd_create: { args: ["ptr", "u32"], returns: "i32" } });
  const file = symbols.memfd_create(ptr(Buffer.from(`${title}\0`)), 0);
  if (file < 0) return undefined;
  for (let at = 0; at < contents.length;) at += writeSync(file, contents, at);
  return `${DESCRIPTORS}/${file}`;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed since.
    return "";
  }
}
