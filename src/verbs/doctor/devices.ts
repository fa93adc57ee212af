/** The devices that the doctor tries. */
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import {
  chooseAdapter,
  findAdapters,
  openDevice,
  type AdapterDescription,
  type DeviceOptions,
} from "../../devices/open.ts";
import { openWgpu } from "../../devices/wgpu/backend.ts";
import type { Backend } from "../../engine/backend.ts";
import { plural } from "../../words.ts";
import { isUsable, type Library } from "./libraries.ts";
import type { Problem } from "./problem.ts";

export interface TrialDevice {
  /** The value of `--device`, with any other flags: "gpu:0", "cpu", "cpu --blas off". */
  readonly name: string;
  readonly options: DeviceOptions;
  /** Of a GPU. */
  readonly adapter?: AdapterDescription;
  /** For people. */
  readonly description: string;
  /** Opens it without tuning: faster variants of kernels are checked separately. */
  open(): Promise<Backend>;
}

/**
 * All devices, or those that `wanted` names; "cpu" means both with and without BLAS. Devices whose library can't be
 * used are left out.
 * @throws DeviceError when there is no such device
 */
export async function findCandidates(
  wanted: string | undefined,
  libraries: readonly Library[],
): Promise<TrialDevice[]> {
  const library = (use: Library["use"]) => libraries.find((each) => each.use === use && isUsable(each));
  const onlyCpu = wanted?.toLowerCase() === "cpu";
  const { adapters } = onlyCpu || !library("GPUs") ? { adapters: [] } : await findAdapters();
  const gpus = adapters.map((adapter, i) => gpu(adapter, i));
  if (wanted !== undefined && !onlyCpu) {
    const chosen = chooseAdapter(adapters, wanted.replace(/^gpu:?/i, "") || undefined);
    return gpus.filter(({ adapter }) => adapter === chosen);
  }
  return [...gpus, ...cpus(library("matrix products on the cpu")?.name)];
}

function gpu(adapter: AdapterDescription, index: number): TrialDevice {
  const name = `gpu:${index}`;
  return {
    name,
    options: { device: name },
    adapter,
    description: [adapter.name, adapter.kind, `${adapter.api} ${adapter.driver}`.trim()].join(", "),
    open: () => openWgpu({ adapter: index, tune: false }),
  };
}

function cpus(blas: string | undefined): TrialDevice[] {
  const threads = plural(availableParallelism(), "thread");
  const cpu = (name: string, how: string): TrialDevice => {
    const options = { device: "cpu", blas: how === blas };
    return { name, options, description: `${threads}, ${how}`, open: () => openDevice(options) };
  };
  const alone = "WebAssembly alone";
  return blas ? [cpu("cpu", blas), cpu("cpu --blas off", alone)] : [cpu("cpu", alone)];
}

/** A GPU that the machine has but Vulkan does not list: its driver is loaded, or there is a device node. */
export function missingGpu(adapters: readonly AdapterDescription[]): Problem | undefined {
  if (process.platform !== "linux" || adapters.some(({ kind }) => kind !== "software")) return undefined;
  if (existsSync("/proc/driver/nvidia/gpus")) {
    return {
      what: "the NVIDIA driver is loaded, but its GPU is not among the devices",
      remedy:
        "install libvulkan1 and the driver's Vulkan part (libnvidia-gl on Debian); in a container, set " +
        "NVIDIA_DRIVER_CAPABILITIES=all",
    };
  }
  const nodes = existsSync("/dev/dri") ? readdirSync("/dev/dri").filter((name) => name.startsWith("renderD")) : [];
  if (nodes.length === 0) return undefined;
  return {
    what: `there is a GPU (/dev/dri/${nodes[0]}), but it is not among the devices`,
    remedy: "install its Vulkan driver (mesa-vulkan-drivers on Debian), and join the group render",
  };
}
