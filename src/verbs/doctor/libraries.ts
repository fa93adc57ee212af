/** The native libraries: which exist, where they come from, and whether they are the published files. */
import { dlopen } from "bun:ffi";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { isAbsolute } from "node:path";
import { identityOf, loadWgpu } from "../../devices/wgpu/library.ts";
import { loadImage, loadResvg } from "../../native/add_ons.ts";
import { findBlas, findWgpu, type BlasLibrary, type FoundLibrary } from "../../native/libraries.ts";
import { openMpi } from "../../native/mpi.ts";
import { packagedFiles, PACKAGES, type PackageName } from "../../native/packages.ts";
import { sha256Of } from "../../native/pins.ts";
import { findTurbojpeg } from "../../native/turbojpeg.ts";
import { TURBOJPEG_WASM } from "../../native/turbojpeg_wasm.ts";
import { messageOf, type Problem } from "./problem.ts";

export type Use =
  "GPUs" | "matrix products on the cpu" | "JPEG" | "other images" | "pictures" | "trainings on several devices";

export interface Library {
  readonly name: string;
  /** If known. */
  readonly version?: string;
  readonly use: Use;
  /** "pinned": the published file, by its SHA-256; "none": missing, and optional. */
  readonly origin: FoundLibrary["origin"] | "none" | "unusable";
  readonly path?: string;
  /** Of a file that is not pinned. */
  readonly sha256?: string;
  /** Why it is unusable. */
  readonly problem?: Problem;
}

export function isUsable({ origin }: Library): boolean {
  return origin !== "none" && origin !== "unusable";
}

/** Describes all libraries, after loading each as the commands do. */
export async function describeLibraries(): Promise<Library[]> {
  return [
    await described("wgpu-native", "GPUs", async () => {
      const found = await findWgpu({ download: false });
      return { ...found, ...identityOf(await loadWgpu()) };
    }),
    await described("BLAS", "matrix products on the cpu", async () => {
      const found = await findBlas();
      return found && { ...found, name: found.kind, ...versionOfBlas(found) };
    }),
    await described("libjpeg-turbo", "JPEG", async () => {
      const found = findTurbojpeg();
      if (found === undefined) return { ...TURBOJPEG_WASM, origin: "pinned" as const };
      return { ...found, ...(found.origin === "pinned" && { version: PACKAGES["@julusian/jpeg-turbo"].version }) };
    }),
    await described("@napi-rs/image", "other images", async () => addOn("@napi-rs/image", loadImage)),
    await described("@resvg/resvg-js", "pictures", async () => addOn("@resvg/resvg-js", loadResvg)),
    await described("MPI", "trainings on several devices", async () => mpi()),
  ];
}

type LoadedLibrary = Pick<Library, "version"> & Omit<FoundLibrary, "loadPath"> & { readonly name?: string };

async function described(name: string, use: Use, find: () => Promise<LoadedLibrary | undefined>): Promise<Library> {
  try {
    const found = await find();
    if (!found) return { name, use, origin: "none" };
    const { origin, version } = found;
    const path = origin === "pinned" ? found.path : fileOf(found.path);
    const sha256 = origin !== "pinned" && isAbsolute(path) ? sha256Of(path) : undefined;
    return { name: found.name ?? name, use, origin, path, ...(version && { version }), ...(sha256 && { sha256 }) };
  } catch (error) {
    // "wgpu-native … is not at …: put the file there": the problem, the last colon, the remedy.
    const message = messageOf(error);
    const colon = message.lastIndexOf(": ");
    const problem =
      colon < 0
        ? { what: `${name} can't be used: ${message}`, remedy: "reinstall it" }
        : { what: message.slice(0, colon), remedy: message.slice(colon + 2) };
    return { name, use, origin: "unusable", problem };
  }
}

/** A package without a pinned file is for a platform that has not been tried. */
function addOn(name: PackageName, load: () => unknown): LoadedLibrary {
  load();
  const [file] = packagedFiles(name);
  const { version } = PACKAGES[name];
  return file ? { path: file.path, origin: "pinned", version } : { path: name, origin: "system", version };
}

/** MPI is optional. Without a launcher nothing says which of several is meant: this is the first that works. */
function mpi(): LoadedLibrary | undefined {
  const origin = process.env.MPI_LIB_PATH ? "variable" : "system";
  try {
    const { path, description } = openMpi({ family: "pmix", size: undefined });
    return { path, origin, version: description };
  } catch (error) {
    if (origin === "variable") throw error;
    return undefined;
  }
}

/** OpenBLAS states it in its configuration: "OpenBLAS 0.3.21 DYNAMIC_ARCH …". */
function versionOfBlas({ loadPath, prefix }: BlasLibrary): Pick<Library, "version"> {
  try {
    const name = `${prefix}openblas_get_config`;
    const text = String(dlopen(loadPath, { [name]: { args: [], returns: "cstring" } }).symbols[name]!());
    const version = /OpenBLAS (\S+)/.exec(text)?.[1];
    return version ? { version } : {};
  } catch {
    // Another library.
    return {};
  }
}

/** The file of a library that was loaded by name, or the name if the system does not say. */
function fileOf(name: string): string {
  if (isAbsolute(name)) return realpathSync(name);
  if (!existsSync("/proc/self/maps")) return name;
  const mapped = readFileSync("/proc/self/maps", "utf8").match(/\/\S+$/gm) ?? [];
  const stem = name.replace(/\.so.*/, "");
  return mapped.find((path) => path.includes(`/${name}`)) ?? mapped.find((path) => path.includes(`/${stem}`)) ?? name;
}
