import { availableParallelism } from "node:os";
import type { Backend } from "../engine/backend.ts";
import { AlexNetError, ChangedLibraryError, UsageError } from "../errors.ts";
import { option, setting } from "../option_names.ts";
import { sayMissing } from "../native/libraries.ts";
import { WGPU } from "../native/table.ts";
import { given } from "../options.ts";
import { command } from "../program.ts";
import { wholeFromTo } from "../rules.ts";
import { number, onOff, text, validate, type OptionsOf } from "../schema.ts";
import { refuseInComputeWorker } from "./compute_worker.ts";
import { openCpu } from "./cpu/backend.ts";
import { listAdapters, openWgpu } from "./wgpu/backend.ts";
import type { AdapterDescription } from "./gpu/description.ts";

export const DEVICE_OPTIONS = {
  /**
   * "auto": the best GPU that is not software, else the cpu. "cpu". "gpu", or "gpu:" and an index in the list of
   * adapters, a kind or part of a name; the "gpu:" may be left out.
   */
  device: text(`auto, cpu, gpu, or gpu: and a number or name that \`${command("devices")}\` lists`, { hint: "NAME" }),
  /** Whether the cpu uses the machine's BLAS; yes by default. */
  blas: onOff("on or off: whether the cpu uses the machine's BLAS"),
  /** Number of threads the cpu uses; all cores by default. */
  threads: number("How many threads the cpu uses (all cores)", { hint: "N", rule: wholeFromTo(1, 1024) }),
  /** Whether to measure which kernels are fastest on a GPU; the default is that of `WgpuOptions`. */
  tune: onOff("on or off: whether a GPU measures its fastest kernels"),
};

export interface DeviceOptions extends OptionsOf<typeof DEVICE_OPTIONS> {}

/** The number of processes that work together, and this one's index among those on its machine. */
interface Processes {
  readonly size: number;
  readonly local: { readonly rank: number; readonly size: number };
}

/** @throws DeviceError when there is no such device; UsageError for an unknown option, or one of another device */
export async function openDevice(options: DeviceOptions = {}): Promise<Backend> {
  validate("openDevice", options, DEVICE_OPTIONS);
  const { device = "auto", blas, threads, tune } = options;
  refuseInComputeWorker("a device is opened");
  const wanted = device.toLowerCase() === "auto" ? await automatic() : device;
  if (wanted.toLowerCase() === "cpu") {
    if (tune !== undefined)
      throw new UsageError(`${option("tune")} is for GPUs, but the device is the cpu: leave it out`);
    return openCpu({ ...(blas === undefined ? {} : { blas }), ...(threads === undefined ? {} : { threads }) });
  }
  if (blas !== undefined || threads !== undefined) {
    throw new UsageError(
      `${option("blas")} and ${option("threads")} are for the cpu, but the device is "${wanted}": add ${setting("device", "cpu")}`,
    );
  }
  const adapter = wanted.replace(/^gpu:?/i, "");
  return openWgpu({ ...(adapter !== "" && { adapter }), ...(tune !== undefined && { tune }) });
}

/**
 * The device for one of several processes on a machine: its share of the cpu's cores, or, unless a specific GPU is
 * asked for, the n-th GPU for the n-th process, round-robin.
 */
async function deviceOfRank(
  options: DeviceOptions,
  { rank, size }: { readonly rank: number; readonly size: number },
): Promise<DeviceOptions> {
  const wanted = (options.device ?? "auto").toLowerCase();
  if (wanted === "auto" || wanted === "gpu") {
    const { adapters } = await findAdapters();
    const places = adapters.flatMap(({ kind }, i) => (kind === "software" ? [] : [i]));
    if (places.length > 0) return { ...options, device: `gpu:${places[rank % places.length]}` };
  }
  if (wanted !== "auto" && wanted !== "cpu") return options;
  return { threads: Math.max(1, Math.floor(availableParallelism() / size)), ...options, device: "cpu" };
}

/**
 * The device for this process, which may be one of several.
 * @param options may hold other options too
 * @throws as `openDevice`
 */
export async function openDeviceOf(
  { device, blas, threads, tune }: DeviceOptions,
  { size, local }: Processes = { size: 1, local: { rank: 0, size: 1 } },
): Promise<Backend> {
  const options = given({ device, blas, threads, tune });
  return openDevice(size === 1 ? options : await deviceOfRank(options, local));
}

/**
 * As `openDeviceOf`, while the caller does something else: disposing of the stack closes the device. A failure is thrown
 * where the promise is awaited, and is no unhandled rejection before.
 */
export function openMeanwhile(stack: AsyncDisposableStack, options: DeviceOptions): Promise<Backend> {
  const opening = openDeviceOf(options);
  const opened = opening.catch(() => undefined);
  stack.defer(async () => (await opened)?.close());
  return opening;
}

/** "cpu", or the index of the best GPU. */
async function automatic(): Promise<string> {
  const { adapters, problem } = await findAdapters();
  if (problem !== undefined) sayMissing(WGPU, "no GPU is used");
  const best = adapters.findIndex(({ kind }) => kind !== "software");
  return best < 0 ? "cpu" : `gpu:${best}`;
}

/** @internal */
interface Adapters {
  readonly adapters: readonly AdapterDescription[];
  /** Why there are none: wgpu-native is missing. */
  readonly problem?: string;
}

/**
 * The GPUs of this machine. A missing library is not an error here: the cpu doesn't need it.
 * @throws ChangedLibraryError when the library is not the one that was published
 * @internal
 */
export async function findAdapters(): Promise<Adapters> {
  try {
    return { adapters: await listAdapters() };
  } catch (error) {
    if (error instanceof AlexNetError && !(error instanceof ChangedLibraryError))
      return { adapters: [], problem: error.message };
    throw error;
  }
}

/** @internal */
export { chooseAdapter } from "./wgpu/backend.ts";
export type { AdapterDescription };
