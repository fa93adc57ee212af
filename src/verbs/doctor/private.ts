/** What the doctor says is pasted into reports that everybody can read: where a person's files lie is nobody's business. */
import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";

/** The environment variables that name files or folders here. */
export const PATH_VARIABLES = [
  "ALEXNET_CACHE",
  "WGPU_LIB_PATH",
  "BLAS_LIB_PATH",
  "TURBOJPEG_LIB_PATH",
  "MPI_LIB_PATH",
  "NAPI_RS_NATIVE_LIBRARY_PATH",
  "LD_LIBRARY_PATH",
  "LD_PRELOAD",
  "DYLD_LIBRARY_PATH",
  "VK_DRIVER_FILES",
  "VK_ICD_FILENAMES",
] as const;

export const PROJECT = fileURLToPath(new URL("../../../", import.meta.url)).replace(/[\\/]$/, "");

/** A path, and what stands for it. */
export type Place = readonly [path: string, name: string];

/** The project's folder, the one that the command runs in, the home directory, and what environment variables name. */
export function privatePlaces(environment: Readonly<Record<string, string | undefined>> = process.env): Place[] {
  const named = PATH_VARIABLES.flatMap((name): Place[] => {
    const value = environment[name];
    return value && /[\\/]/.test(value) ? [[value, `$${name}`]] : [];
  });
  const places: Place[] = [...named, [PROJECT, "."], [process.cwd(), "(here)"], [homedir(), "~"]];
  // The first of two equal ones counts; a path inside another has its own name.
  return places
    .flatMap(([path, name]): Place[] => [
      [path, name],
      [real(path), name],
    ])
    .filter(([path]) => path.length > 1)
    .sort(([a], [b]) => b.length - a.length);
}

/** A text with names in place of these paths. */
export function withoutPlaces(text: string, places: readonly Place[]): string {
  return places.reduce(
    (rest, [path, name]) => rest.replace(new RegExp(`${RegExp.escape(path)}(?![\\w-])`, FLAGS), () => name),
    text,
  );
}

const FLAGS = process.platform === "win32" ? "gi" : "g";

/** The same for all texts of a value that can be written as JSON. */
export function valueWithoutPlaces<T>(value: T, places: readonly Place[]): T {
  if (typeof value === "string") return withoutPlaces(value, places) as T;
  if (Array.isArray(value)) return value.map((each: unknown) => valueWithoutPlaces(each, places)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, valueWithoutPlaces(each, places)])) as T;
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
