/** Redacts private paths, since the doctor's output is pasted into public bug reports. */
import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";

/** Environment variables that name files or folders. */
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

/** A path and its replacement. */
type PrivatePath = readonly [path: string, name: string];

/** The project's folder, the working directory, the home directory, and the paths in environment variables. */
export function privatePaths(environment: Readonly<Record<string, string | undefined>> = process.env): PrivatePath[] {
  const named = PATH_VARIABLES.flatMap((name): PrivatePath[] => {
    const value = environment[name];
    return value && /[\\/]/.test(value) ? [[value, `$${name}`]] : [];
  });
  const paths: PrivatePath[] = [...named, [PROJECT, "."], [process.cwd(), "(here)"], [homedir(), "~"]];
  // Of equal paths the first counts; inner paths are replaced before outer ones.
  return paths
    .flatMap(([path, name]): PrivatePath[] => [
      [path, name],
      [real(path), name],
    ])
    .filter(([path]) => path.length > 1)
    .sort(([a], [b]) => b.length - a.length);
}

/** Replaces private paths in a text. */
export function redact(text: string, paths: readonly PrivatePath[]): string {
  return paths.reduce(
    (rest, [path, name]) => rest.replace(new RegExp(`${RegExp.escape(path)}(?![\\w-])`, FLAGS), () => name),
    text,
  );
}

const FLAGS = process.platform === "win32" ? "gi" : "g";

/** Replaces private paths in all strings of a JSON value. */
export function redactAll<T>(value: T, paths: readonly PrivatePath[]): T {
  if (typeof value === "string") return redact(value, paths) as T;
  if (Array.isArray(value)) return value.map((each: unknown) => redactAll(each, paths)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, redactAll(each, paths)])) as T;
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
