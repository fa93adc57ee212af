/**
 * Finds native libraries: where an environment variable points, in the system (BLAS), in the cache folder, or downloaded
 * when first needed, if this process may. A downloaded file must have the SHA-256 in table.ts, both on arrival and each time
 * before it is loaded. Libraries that a variable names or the system provides are not checked.
 */
import { dlopen, FFIType } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { DeviceError } from "../errors.ts";
import { reason, replaceFileSync } from "../io/files.ts";
import { fromArchives, type Way } from "./archives.ts";
import {
  cacheAdvice,
  cached,
  failedRecently,
  failureNote,
  noteFailure,
  requireWritable,
  ownCacheFolder,
} from "./cache.ts";
import { fetchArchive, fetchWheel } from "./download.ts";
import { allowDownloads, announceDownload, mayDownload, remedy, type OnProgress } from "./permission.ts";
import { pinnedPath } from "./pins.ts";
import { OPENBLAS, SYSTEM_BLAS, WGPU, type NativeLibrary, type Build } from "./table.ts";

export type { OnProgress };

export interface FoundLibrary {
  /** For messages: a path, or a name that the system's loader resolves. */
  readonly path: string;
  /** What to load: `path`, or another path to the same file. */
  readonly loadPath: string;
  /** "pinned": its SHA-256 matched. Otherwise an environment variable or the system named it. */
  readonly origin: "pinned" | "variable" | "system";
}

/** A library that exports `cblas_sgemm`. */
export interface BlasLibrary extends FoundLibrary {
  /** Prefix of its symbols: `scipy_` in SciPy's build of OpenBLAS, otherwise empty. */
  readonly prefix: string;
  /** For messages: OpenBLAS, Accelerate, or the file's name. */
  readonly kind: string;
}

/**
 * wgpu-native, downloaded if it is missing and this process may.
 * @throws DeviceError that lists what was tried; ChangedLibraryError when the file is not the published one
 */
export async function findWgpu({ download = true } = {}): Promise<FoundLibrary> {
  const given = process.env.WGPU_LIB_PATH;
  if (given) {
    if (!existsSync(given))
      throw new DeviceError(`WGPU_LIB_PATH is ${given}, which does not exist: correct or unset it`);
    return unverified(given, "variable");
  }
  const path = cachedPath(WGPU) ?? (download && mayDownload() ? await obtain(WGPU) : undefined);
  if (path === undefined) throw new DeviceError(missing(WGPU));
  return checked(WGPU, path);
}

/**
 * A fast BLAS; undefined when there is none. Where the system has none it is downloaded, if this process may.
 * @throws DeviceError when BLAS_LIB_PATH names a library that can't be used; ChangedLibraryError when the downloaded
 * file is not the published one
 */
export async function findBlas({ download = true } = {}): Promise<BlasLibrary | undefined> {
  const given = process.env.BLAS_LIB_PATH;
  if (given) {
    const library = probe(unverified(given, "variable"), basename(given));
    if (library) return library;
    throw new DeviceError(
      `BLAS_LIB_PATH is ${given}, which can't be loaded or has no cblas_sgemm: correct or unset it`,
    );
  }
  const blas = systemBlas();
  if (blas) return blas;
  const path = cachedPath(OPENBLAS) ?? (download && mayDownload() ? await obtainOrNot(OPENBLAS) : undefined);
  return path === undefined ? undefined : probe(checked(OPENBLAS, path), "OpenBLAS");
}

/** As `obtain`; undefined when it can't be had, which `sayMissing` reports. */
async function obtainOrNot(library: NativeLibrary): Promise<string | undefined> {
  try {
    return await obtain(library);
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    throw error;
  }
}

/** For setup: downloads wgpu-native if it is missing. @throws DeviceError that lists what was tried */
export async function provideWgpu(onProgress: OnProgress): Promise<void> {
  allowDownloads(onProgress);
  if (!process.env.WGPU_LIB_PATH && !cachedPath(WGPU)) await obtain(WGPU);
}

/** For setup: downloads OpenBLAS if it is missing and the system has no BLAS. @throws DeviceError that lists what was tried */
export async function provideBlas(onProgress: OnProgress): Promise<void> {
  allowDownloads(onProgress);
  if (!process.env.BLAS_LIB_PATH && !cachedPath(OPENBLAS) && !systemBlas()) await obtain(OPENBLAS);
}

/** A library that is not checked. */
export function unverified(path: string, origin: "variable" | "system"): FoundLibrary {
  return { path, loadPath: path, origin };
}

function systemBlas(): BlasLibrary | undefined {
  for (const { path, kind } of SYSTEM_BLAS[process.platform] ?? []) {
    const library = probe(unverified(path, "system"), kind);
    if (library) return library;
  }
  return undefined;
}

/** Loads a library to find out whether it is a BLAS, and its symbols' prefix. */
function probe(library: FoundLibrary, kind: string): BlasLibrary | undefined {
  for (const prefix of ["", "scipy_"]) {
    try {
      dlopen(library.loadPath, { [`${prefix}cblas_sgemm`]: { args: [], returns: FFIType.void } });
      return { ...library, prefix, kind };
    } catch {
      // Missing, or without that symbol: try the next prefix.
    }
  }
  return undefined;
}

function buildFor(library: NativeLibrary): Build | undefined {
  return library.builds[`${process.platform}-${process.arch}`];
}

function folderOf({ name, version }: NativeLibrary): string {
  return `${name}-${version}-${process.platform}-${process.arch}`;
}

/** Where it is kept, if it was downloaded. */
function cachedPath(library: NativeLibrary): string | undefined {
  const path = keptAt(library);
  return path !== undefined && existsSync(path) ? path : undefined;
}

/** Where it is kept once downloaded; undefined when it is not published for this platform. */
function keptAt(library: NativeLibrary): string | undefined {
  const build = buildFor(library);
  return build && cached(folderOf(library), build.file);
}

function checked(library: NativeLibrary, path: string): FoundLibrary {
  const { name, version, variable } = library;
  ownCacheFolder("native", folderOf(library));
  const remedy = `delete it to have it downloaded again, or set ${variable} to use another`;
  const loadPath = pinnedPath({ what: `${name} ${version}`, path, sha256: buildFor(library)!.sha256, remedy });
  return { path, loadPath, origin: "pinned" };
}

function missing(library: NativeLibrary): string {
  const { name, version, variable } = library;
  const path = keptAt(library);
  return path === undefined
    ? `${name} ${version} is not published for ${process.platform} ${process.arch}: build it and set ${variable}`
    : `${name} ${version} is not at ${path}: ${remedy()}, put the file there, or set ${variable} to its path`;
}

/** By a library's name: why this process could not have it; and whose absence it has reported. */
const failures = new Map<string, string>();
const said = new Set<string>();

/**
 * Says once that the process does without a library, on standard error. After a download has failed it says nothing for
 * a day, as that download is not tried again either.
 * @param without what that costs
 */
export function sayMissing(library: NativeLibrary, without: string): void {
  const { name, variable } = library;
  const failure = failures.get(name);
  const isOld = failure === undefined && failedRecently(folderOf(library));
  if (said.has(name) || process.env[variable] || cachedPath(library) || isOld) return;
  said.add(name);
  const absent = process.env.ALEXNET_OFFLINE
    ? `${name} is missing, and ALEXNET_OFFLINE is set`
    : `${remedy()} to fetch ${name}`;
  process.stderr.write(`warning: ${without}: ${failure ?? absent}\n`);
}

const EXECUTABLE = 0o755;

/** Downloads a library. @returns where it is kept @throws DeviceError that lists what was tried */
async function obtain(library: NativeLibrary): Promise<string> {
  const { name, version, variable } = library;
  const [build, path] = [buildFor(library), keptAt(library)];
  if (!build || path === undefined) throw new DeviceError(missing(library));
  const note = failureNote(folderOf(library));
  if (failedRecently(folderOf(library))) {
    throw new DeviceError(
      `${readFileSync(note, "utf8").trim()} (tried less than a day ago; delete ${note} to try again now)`,
    );
  }
  const found = await fromArchives(archives(build), {
    ...{ archive: "the archive", what: "the library", file: build.file, inside: build.inside, sha256: build.sha256 },
    beforeEach(from) {
      requireRoom(library, path);
      announceDownload(`Fetching ${name} ${version} (${from})`);
    },
  });
  if (typeof found !== "string") {
    replaceFileSync(path, found, EXECUTABLE);
    return path;
  }
  const message =
    `${name} ${version} can't be downloaded: ${found}. ` +
    `Put the file at ${path} yourself, or set ${variable} to its path`;
  noteFailure(folderOf(library), message);
  failures.set(name, message);
  throw new DeviceError(message);
}

/** Called before downloading in vain. @throws DeviceError when the file can't be written to `path` */
function requireRoom({ name, version }: NativeLibrary, path: string): void {
  try {
    requireWritable(path);
  } catch (error) {
    const advice = cacheAdvice(error) ?? "put the file there yourself";
    const message = `can't write ${name} ${version} to ${path}: ${reason(error)}: ${advice}`;
    failures.set(name, message);
    throw new DeviceError(message, { cause: error });
  }
}

function archives({ url, wheel }: Build): Way[] {
  const ways: Way[] = [["with pip", () => fetchWheel(wheel)]];
  if (url) ways.unshift([new URL(url).host, () => fetchArchive(url)]);
  return ways;
}
