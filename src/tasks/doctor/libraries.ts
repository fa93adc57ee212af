/** The native libraries: which are there, whose they are, and whether they are what was published. */
import { dlopen } from "bun:ffi";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { isAbsolute } from "node:path";
import { loadWgpu, versionOf } from "../../backends/wgpu/library.ts";
import { findBlas, findWgpu, type BlasLibrary, type FoundLibrary } from "../../native/libraries.ts";
import { openMpi } from "../../native/mpi.ts";
import { packagedFiles, PACKAGES, requirePackage, type PackageName } from "../../native/packages.ts";
import { sha256Of } from "../../native/pins.ts";
import { findTurbojpeg } from "../../native/turbojpeg.ts";
import { messageOf, type Problem } from "./problem.ts";

export type Use =
  "GPUs" | "matrix products on the cpu" | "JPEG" | "other images" | "pictures" | "trainings on several devices";

export interface Library {
  readonly name: string;
  /** As far as it is known. */
  readonly version?: string;
  readonly use: Use;
  /** Pinned: it is what was published, by its SHA-256. None: it is not there, and not needed. */
  readonly origin: FoundLibrary["origin"] | "none" | "unusable";
  readonly path?: string;
  /** Of files that are not pinned. */
  readonly sha256?: string;
  /** Why it is unusable. */
  readonly problem?: Problem;
}

export function isUsable({ origin }: Library): boolean {
  return origin !== "none" && origin !== "unusable";
}

/** Each is loaded, as the commands load it. */
export async function describeLibraries(): Promise<Library[]> {
  return [
    await described("wgpu-native", "GPUs", async () => {
      const found = await findWgpu({ download: false });
      return { ...found, version: versionOf(await loadWgpu()) };
    }),
    await described("BLAS", "matrix products on the cpu", async () => {
      const found = await findBlas();
      return found && { ...found, name: found.kind, ...versionOfBlas(found) };
    }),
    await described("libjpeg-turbo", "JPEG", async () => {
      const found = findTurbojpeg();
      return (
        found && { ...found, ...(found.origin === "pinned" && { version: PACKAGES["@julusian/jpeg-turbo"].version }) }
      );
    }),
    await described("@napi-rs/image", "other images", async () => addOn("@napi-rs/image")),
    await described("@resvg/resvg-js", "pictures", async () => addOn("@resvg/resvg-js")),
    await described("MPI", "trainings on several devices", async () => mpi()),
  ];
}

type Found = Pick<Library, "version"> & FoundLibrary & { readonly name?: string };

async function described(name: string, use: Use, find: () => Promise<Found | undefined>): Promise<Library> {
  try {
    const found = await find();
    if (!found) return { name, use, origin: "none" };
    const path = found.origin === "pinned" ? found.path : fileOf(found.path);
    const sha256 = found.origin !== "pinned" && isAbsolute(path) ? sha256Of(path) : undefined;
    return { name, use, ...found, path, ...(sha256 && { sha256 }) };
  } catch (error) {
    // "wgpu-native … is not at …: put the file there": what it is comes before the last colon, what to do behind it.
    const message = messageOf(error);
    const colon = message.lastIndexOf(": ");
    const problem =
      colon < 0
        ? { what: `${name} can't be used: ${message}`, remedy: "install it anew" }
        : { what: message.slice(0, colon), remedy: message.slice(colon + 2) };
    return { name, use, origin: "unusable", problem };
  }
}

function addOn(name: PackageName): Found | undefined {
  requirePackage(name);
  const [file] = packagedFiles(name);
  return file && { path: file.path, origin: "pinned", version: PACKAGES[name].version };
}

/** MPI is optional, and without a launcher there is no telling which of several is meant: the first that works. */
function mpi(): Found | undefined {
  if (!process.env.MPI_LIB_PATH) {
    try {
      const { path, description } = openMpi({ family: "pmix", size: undefined });
      return { path, origin: "system", version: description };
    } catch {
      return undefined;
    }
  }
  const { path, description } = openMpi({ family: "pmix", size: undefined });
  return { path, origin: "variable", version: description };
}

/** OpenBLAS says it in its configuration: "OpenBLAS 0.3.21 DYNAMIC_ARCH …". */
function versionOfBlas({ path, prefix }: BlasLibrary): Pick<Library, "version"> {
  try {
    const name = `${prefix}openblas_get_config`;
    const text = String(dlopen(path, { [name]: { args: [], returns: "cstring" } }).symbols[name]!());
    const version = /OpenBLAS (\S+)/.exec(text)?.[1];
    return version ? { version } : {};
  } catch {
    // Another library.
    return {};
  }
}

/** The file of a library that was loaded by a name; the name where the system does not tell. */
function fileOf(name: string): string {
  if (isAbsolute(name)) return realpathSync(name);
  if (!existsSync("/proc/self/maps")) return name;
  const mapped = readFileSync("/proc/self/maps", "utf8").match(/\/\S+$/gm) ?? [];
  const stem = name.replace(/\.so.*/, "");
  return mapped.find((path) => path.includes(`/${name}`)) ?? mapped.find((path) => path.includes(`/${stem}`)) ?? name;
}
