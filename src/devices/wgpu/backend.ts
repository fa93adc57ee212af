/** The GPU backend: WGSL kernels through wgpu-native, on Vulkan, Metal or DX12. */
import type { Backend } from "../../engine/backend.ts";
import { UsageError } from "../../errors.ts";
import { ownCacheFolder } from "../../native/cache.ts";
import { refuseInComputeWorker } from "../compute_worker.ts";
import type { AdapterKind } from "../gpu/description.ts";
import { Buffers } from "./buffers.ts";
import { methodsOf } from "../gpu/methods.ts";
import { hostMemory } from "../host_memory.ts";
import { Device } from "./device.ts";
import type { Clock } from "./gpu.ts";
import { identityOf } from "./library.ts";
import { Measurements } from "./measurements.ts";
import { measureParallelWorkgroups, parallelWorkgroups } from "./parallel.ts";
import { Pipelines } from "./pipelines.ts";
import { Queue } from "./queue.ts";
import { countObjects, type Counts } from "./report.ts";
import { Staging } from "./staging.ts";
import { createClock } from "./timers.ts";
import { Tuner } from "./tuner.ts";

export { chooseAdapter, listAdapters } from "./adapters.ts";
export type { AdapterDescription, AdapterKind } from "../gpu/description.ts";

export interface WgpuOptions {
  /**
   * Part of an adapter's name, its kind, or its index in `listAdapters`; by default the best GPU, never a software one.
   */
  readonly adapter?: string | number;
  /**
   * Whether to measure which of a kernel's variants is fastest and how many workgroups run at once; if not, kernels run
   * their own WGSL. By default, on or off as in the environment variable ALEXNET_TUNE; without it, on, except on
   * software adapters, where a kernel takes seconds.
   */
  readonly tune?: boolean;
  /** The folder for measurements; .cache/tuning by default. */
  readonly tuningFolder?: string;
  /**
   * Called with problems that are no reason to stop, such as a damaged file of measurements; by default they go to
   * standard error.
   */
  readonly warn?: (message: string) => void;
  /** Whether out-of-bounds accesses to buffers are prevented; for tests. */
  readonly checks?: boolean;
  /** Whether to use the GPU's clock, if it has one; yes by default. */
  readonly timestamps?: boolean;
  /** Replaces the GPU's and the host's clocks for timing kernels; for tests. */
  readonly clock?: Clock;
}

export interface WgpuBackend extends Backend {
  /** Number of objects of each kind that the library holds, for all devices. */
  counts(): Counts;
  /** Loses the device, like a driver reset; for tests. Whatever comes next throws a DeviceLostError. */
  lose(): void;
}

/** @throws DeviceError when there is no such adapter, or its driver fails; UsageError for an invalid ALEXNET_TUNE */
export async function openWgpu(options: WgpuOptions = {}): Promise<WgpuBackend> {
  refuseInComputeWorker("a device is opened");
  const { checks = false, timestamps = true, warn = warnOnStderr, tuningFolder = ownCacheFolder("tuning") } = options;
  const wanted = options.tune ?? tuneFromEnvironment();
  const device = await Device.open(options.adapter, timestamps ? [] : ["timestamps"]);
  const queue = new Queue(device, options.clock?.now);
  const pipelines = new Pipelines(device, checks);
  const buffers = new Buffers(device, queue.uniformBuffer);
  const staging = new Staging(device, queue);
  const clock = options.clock ?? createClock(device, queue, staging);
  const gpu = { device, queue, pipelines, buffers, staging, clock };
  const isTuned = wanted ?? device.kind !== "software";
  const { name, version } = identityOf(device.wgpu);
  const key = `${device.description}, ${version ? `wgpu ${version}` : name}${checks ? ", with checks" : ""}`;
  const measurements = isTuned ? new Measurements(tuningFolder, key, warn) : undefined;
  const tuner = new Tuner(gpu, measurements);

  return {
    ...methodsOf({ device, queue, pipelines, buffers, staging, tuner }),
    kind: "wgpu",
    limits: {
      bindingBytes: device.limits.bindingBytes,
      bufferBytes: device.limits.bufferBytes,
      totalBytes: totalBytes(device.kind),
      // Variants read whole vec4s.
      viewAlignment: Math.max(16, device.limits.storageAlignment),
    },
    needsSplitting: true,
    // wgpu leaves Metal's fast math on, which is its default.
    reordersSums: device.api === "Metal",
    parallelWorkgroups: parallelWorkgroups(device, measurements, warn, () => measureParallelWorkgroups(gpu)),
    ...(measurements && {
      fastest(kernel, sizes, ways) {
        device.check();
        return tuner.fastest(measurements, kernel, sizes, ways);
      },
    }),
    readNow(buffer) {
      device.check();
      const { handle, bytes } = buffers.own(buffer, "read");
      return new Float32Array(staging.readNow({ handle, offset: 0, bytes }));
    },
    async profile(work) {
      queue.flush();
      await device.workDone();
      const timer = clock.timers[0]!();
      try {
        queue.timer = timer;
        try {
          work();
        } finally {
          queue.timer = undefined;
        }
        return await timer.read();
      } finally {
        timer.close();
      }
    },
    counts: () => countObjects(device),
    lose: () => device.lose(),
    async close() {
      if (device.closed) return;
      buffers.close();
      staging.close();
      queue.close();
      pipelines.close();
      device.close();
      await measurements?.close();
    },
    [Symbol.asyncDispose](this: Backend) {
      return this.close();
    },
  };
}

/**
 * How much a device may allocate. WebGPU doesn't say; but a GPU that shares the machine's memory would make it swap
 * long before an allocation fails, so it gets half of that.
 */
function totalBytes(kind: AdapterKind): number {
  return kind === "integrated" || kind === "software" ? hostMemory() / 2 : Infinity;
}

/** @throws UsageError unless ALEXNET_TUNE is on, off or unset */
function tuneFromEnvironment(): boolean | undefined {
  const value = process.env.ALEXNET_TUNE;
  if (value === undefined || value === "") return undefined;
  if (value !== "on" && value !== "off") throw new UsageError(`ALEXNET_TUNE is "${value}": must be on or off`);
  return value === "on";
}

function warnOnStderr(message: string): void {
  process.stderr.write(`warning: ${message}\n`);
}
