/** The GPU backend of web pages: WGSL kernels on the standard WebGPU API, which Deno has too, and Node by a package. */
import type { Backend } from "../../engine/backend.ts";
import { DeviceError } from "../../errors.ts";
import type { AdapterKind } from "../gpu/description.ts";
import { methodsOf } from "../gpu/methods.ts";
import type { Gpu } from "./api.ts";
import { Buffers } from "./buffers.ts";
import { Device } from "./device.ts";
import { Pipelines } from "./pipelines.ts";
import { Queue } from "./queue.ts";
import { Staging } from "./staging.ts";
import { createTimer } from "./timers.ts";
import { Tuner } from "./tuner.ts";

export type { Gpu } from "./api.ts";

export interface WebGpuBackend extends Backend {
  readonly kind: "webgpu";
  readonly adapterKind: AdapterKind;
  /**
   * Measures which variants are fastest of the kernels that have run so far, and uses these from now on: to be awaited
   * after the first step or prediction. It takes up to about five seconds. @throws DeviceError when the device failed
   */
  tune(): Promise<void>;
  /** Loses the device, like a driver reset; for tests. Whatever comes next throws a DeviceLostError. */
  lose(): void;
}

export interface WebGpuOptions {
  /** Where the standard API is; `navigator.gpu` by default. */
  readonly gpu?: Gpu;
  /** Whether `tune` measures; by default, except on software adapters, where a kernel takes seconds. */
  readonly tune?: boolean;
}

/** @throws DeviceError when there is no WebGPU, or it has no adapter */
export async function openWebGpu(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
  const { gpu = (navigator as { gpu?: Gpu }).gpu } = options;
  if (!gpu) throw new DeviceError("WebGPU is missing: this browser has none, or the page was not loaded by https");
  const device = await Device.open(gpu);
  const isTuned = options.tune ?? device.kind !== "software";
  const queue = new Queue(device);
  const pipelines = new Pipelines(device);
  const buffers = new Buffers(device, queue);
  const staging = new Staging(device, queue);
  const tuner = new Tuner({ device, queue, pipelines, buffers });
  const methods = methodsOf({ device, queue, pipelines, buffers, staging, tuner });

  return {
    ...methods,
    kind: "webgpu",
    adapterKind: device.kind,
    limits: {
      bindingBytes: device.limits.bindingBytes,
      bufferBytes: device.limits.bufferBytes,
      totalBytes: Infinity,
      viewAlignment: device.limits.storageAlignment,
    },
    needsSplitting: true,
    reordersSums: device.reordersSums,
    parallelWorkgroups: device.kind === "software" ? Math.max(2, navigator.hardwareConcurrency) : 64,
    readNow() {
      throw new DeviceError("WebGPU can't wait in the middle of a page's work: await read() instead of readNow()");
    },
    async profile(work) {
      await methods.synchronize();
      const timer = createTimer(device, queue, staging);
      queue.timer = timer;
      try {
        work();
      } finally {
        queue.timer = undefined;
      }
      return timer.read();
    },
    async tune() {
      device.check();
      if (isTuned) await tuner.tune();
    },
    lose: () => device.lose(),
    async close() {
      if (device.closed) return;
      buffers.close();
      device.close();
    },
    [Symbol.asyncDispose](this: Backend) {
      return this.close();
    },
  };
}
