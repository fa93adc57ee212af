/** Downloads a large file once. An interrupted download is kept, and the next try resumes it. */
import { createHash } from "node:crypto";
import { closeSync, createReadStream, fsyncSync, mkdirSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { basename, dirname } from "node:path";
import { DataError } from "../../errors.ts";
import { openToWrite, reason } from "../../io/files.ts";
import { cacheAdvice } from "../../native/cache.ts";
import { refusal } from "../../native/permission.ts";
import type { Progress } from "./source.ts";

/** Timeout without any data. */
const STALL_MS = 20_000;
const PROGRESS_MS = 2_000;
const MB = 1e6;

interface Download {
  readonly url: string;
  /** Where to put it. An incomplete download is kept beside it with .part appended. */
  readonly path: string;
  /** In hexadecimal; for SHA-256 a prefix is enough. */
  readonly md5?: string;
  readonly sha256?: string;
  readonly progress: Progress;
  readonly stallMs?: number;
}

/**
 * Downloads the file unless it is there. @returns its path
 * @throws DataError when the server can't be reached, has no such file or stalls, or when the hash differs
 */
export async function download(options: Download): Promise<string> {
  const { url, path, md5, sha256, progress, stallMs = STALL_MS } = options;
  if (sizeOf(path) !== undefined) return path;
  const refused = refusal();
  if (refused !== undefined) throw new DataError(`can't download ${url}: ${refused}`);
  const part = `${path}.part`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    await receive(url, part, progress, stallMs);
    const [name, expected] = md5 === undefined ? ["SHA-256", sha256 ?? ""] : ["MD5", md5];
    const found = await hash(part, md5 === undefined ? "sha256" : "md5");
    if (md5 === undefined ? !found.startsWith(expected) : found !== md5) {
      rmSync(part, { force: true });
      const instead = md5 === undefined ? `one that begins with ${expected}` : expected;
      throw new DataError(`${url}: the download has the ${name} ${found} instead of ${instead}: try again`);
    }
    renameSync(part, path);
    return path;
  } catch (error) {
    if (error instanceof DataError) throw error;
    const had = sizeOf(part) ?? 0;
    const kept = had > 0 ? ` (the first ${(had / MB).toFixed(1)} MB are kept)` : "";
    const advice = `${cacheAdvice(error) ?? "try again"}${kept}, or download it yourself and pass its path`;
    throw new DataError(`can't download ${url}: ${reason(error)}: ${advice}`, { cause: error });
  }
}

/** Downloads the rest of `part`. */
async function receive(url: string, part: string, progress: Progress, stallMs: number): Promise<void> {
  const had = sizeOf(part) ?? 0;
  const stalled = new AbortController();
  const stall = () => stalled.abort(new Error(`no data for ${stallMs / 1000} s`));
  let timer = setTimeout(stall, stallMs);
  try {
    const headers: Record<string, string> = had > 0 ? { range: `bytes=${had}-` } : {};
    const response = await fetch(url, { headers, signal: stalled.signal });
    // Nothing more to send: the download is complete, or of another file, which the hash will show.
    if (response.status === 416) return;
    if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`);
    // A server that can't resume sends the whole file again.
    const resumes = response.status === 206;
    let done = resumes ? had : 0;
    const total = done + Number(response.headers.get("content-length") ?? NaN);
    const say = () => {
      const of = Number.isFinite(total) ? ` of ${(total / MB).toFixed(0)}` : "";
      progress(`Downloading ${basename(url)}: ${(done / MB).toFixed(0)}${of} MB`);
    };
    say();
    let said = performance.now();
    const file = openToWrite(part, resumes ? "add" : "new");
    try {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        clearTimeout(timer);
        timer = setTimeout(stall, stallMs);
        for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at);
        done += chunk.length;
        if (performance.now() - said < PROGRESS_MS) continue;
        said = performance.now();
        say();
      }
      if (done < total) throw new Error(`the connection was lost after ${done} of ${total} bytes`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw stalled.signal.aborted ? stalled.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

async function hash(path: string, kind: "md5" | "sha256"): Promise<string> {
  const sum = createHash(kind);
  for await (const chunk of createReadStream(path)) sum.update(chunk as Uint8Array);
  return sum.digest("hex");
}

function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size;
  } catch {
    return undefined;
  }
}
