/** The devices of a run: chooses them by name, opens them and measures their roofs. */
import { availableParallelism } from "node:os";
import { chooseAdapter, findAdapters, openDevice } from "../src/devices/open.ts";
import type { Backend } from "../src/engine/backend.ts";
import { AlexNetError, UsageError } from "../src/errors.ts";
import { findBlas, type BlasLibrary } from "../src/native/libraries.ts";
import { suggest } from "../src/suggest.ts";
import { cpuRoof } from "./cpu_roof.ts";
import { gpuRoof } from "./gpu_roof.ts";
import type { Device, Roof } from "./results.ts";

interface DeviceChoice {
  /** Comma-separated names: auto, cpu, cpu:blas, cpu:wasm, gpu, gpu:0, gpu:NAME. */
  readonly names: string;
  /** "cpu" with BLAS only, or without only; both by default. */
  readonly blas?: boolean;
  readonly threads?: number;
}

export interface BenchDevice extends Device {
  readonly backend: Backend;
  readonly roof: Roof;
  /** For the cpu. */
  readonly threads?: number;
  /** Whether it is a GPU emulated on the cpu. */
  readonly isSoftware: boolean;
}

const NAMES = ["auto", "cpu", "cpu:blas", "cpu:wasm", "gpu"];

/**
 * Resolves names: "cpu" to cpu:blas, if there is a BLAS, and cpu:wasm; "auto" to the best GPU, otherwise the cpu.
 * @throws UsageError for an unknown name
 */
export async function chooseDevices({ names, blas, threads }: DeviceChoice): Promise<string[]> {
  const chosen: string[] = [];
  for (const name of names.split(",").map((word) => word.trim().toLowerCase()))
    chosen.push(...(await choose(name, blas)));
  const unique = [...new Set(chosen)];
  if ((blas !== undefined || threads !== undefined) && !unique.some((name) => name.startsWith("cpu:"))) {
    throw new UsageError(
      `--blas and --threads are for the cpu, but the device is ${unique.join(", ")}: add --device cpu`,
    );
  }
  return unique;
}

async function choose(name: string, blas: boolean | undefined): Promise<string[]> {
  if (name === "cpu:blas" || name === "cpu:wasm") return [name];
  if (name === "cpu") {
    const hasBlas = (await findBlas()) !== undefined;
    if (blas === true && !hasBlas) throw new UsageError("--blas on: no BLAS was found: set BLAS_LIB_PATH to one");
    return [...(hasBlas && blas !== false ? ["cpu:blas"] : []), ...(blas !== true ? ["cpu:wasm"] : [])];
  }
  const { adapters, problem } = await findAdapters();
  if (name === "auto") {
    const best = adapters.findIndex(({ kind }) => kind !== "software");
    return best < 0 ? choose("cpu", blas) : [`gpu:${best}`];
  }
  if (!/^gpu(:|$)/.test(name)) {
    throw new UsageError(
      `there is no device "${name}"${suggest(name, NAMES)}; there are ${NAMES.join(", ")} and gpu:NAME`,
    );
  }
  if (problem !== undefined) throw new UsageError(`--device ${name}: ${problem}`);
  try {
    return [`gpu:${adapters.indexOf(chooseAdapter(adapters, name.slice("gpu:".length) || undefined))}`];
  } catch (error) {
    throw error instanceof AlexNetError ? new UsageError(`--device ${name}: ${error.message}`) : error;
  }
}

/**
 * Opens a device named by `chooseDevices`, and measures its roof.
 * @param known its roof, if it was measured before
 * @throws DeviceError
 */
export async function openBenchDevice(
  name: string,
  threads = availableParallelism(),
  known?: Roof,
): Promise<BenchDevice> {
  if (name.startsWith("gpu:")) {
    const backend = await openDevice({ device: name });
    const { adapters } = await findAdapters();
    const { name: adapter, api, driver, kind } = chooseAdapter(adapters, Number(name.slice("gpu:".length)));
    const about = { device: name, description: backend.description, adapter, driver: `${api} ${driver}`.trim() };
    return { ...about, backend, roof: known ?? (await gpuRoof(backend)), isSoftware: kind === "software" };
  }
  const blas = name === "cpu:blas" ? await requireBlas() : undefined;
  const backend = await openDevice({ device: "cpu", blas: blas !== undefined, threads });
  const roof = known ?? (await cpuRoof(backend, threads, blas));
  return { device: name, description: backend.description, backend, roof, threads, isSoftware: false };
}

async function requireBlas(): Promise<BlasLibrary> {
  const blas = await findBlas();
  if (blas) return blas;
  throw new UsageError("cpu:blas: no BLAS was found: set BLAS_LIB_PATH to one, or use cpu:wasm");
}
