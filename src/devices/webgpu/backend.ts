/** The GPU backend of web pages: WGSL kernels on the standard WebGPU API, which Deno has too, and Node by a package. */
import { checkAllocation, type Backend, type Buffer, type BufferView } from "../../engine/backend.ts";
import type { ElementType, Kernel } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";
import { toRead, toWrite } from "../gpu/copies.ts";
import type { AdapterKind } from "../gpu/description.ts";
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
  const done = async (): Promise<void> => {
    queue.flush();
    const { submitted } = queue;
    await device.settle("waiting for the GPU", device.handle.queue.onSubmittedWorkDone());
    queue.finished(submitted);
  };

  return {
    kind: "webgpu",
    adapterKind: device.kind,
    description: device.description,
    limits: {
      bindingBytes: device.limits.bindingBytes,
      bufferBytes: device.limits.bufferBytes,
      totalBytes: Infinity,
      viewAlignment: device.limits.storageAlignment,
    },
    needsSplitting: true,
    reordersSums: device.reordersSums,
    parallelWorkgroups: device.kind === "software" ? Math.max(2, navigator.hardwareConcurrency) : 64,
    allocate(type: ElementType, length: number): Buffer {
      checkAllocation(type, length);
      device.check();
      return buffers.allocate(type, length);
    },
    free: (buffer) => buffers.free(buffers.own(buffer, "free")),
    write(buffer, data, offset = 0) {
      device.check();
      const own = buffers.own(buffer, "write");
      const { start, source, bytes } = toWrite(own, data, offset);
      if (bytes > 0) queue.write(own.handle, start, source, bytes);
    },
    run<B extends string, U extends string>(
      kernel: Kernel<B, U>,
      given: Readonly<Record<B, Buffer | BufferView>>,
      uniforms: Readonly<Record<U, number>>,
    ) {
      device.check();
      const program = pipelines.program(kernel as unknown as Kernel);
      const pipeline = tuner.choose(program, given, uniforms);
      queue.dispatch(program, pipeline, buffers.group(program, given), uniforms);
    },
    flush: () => queue.flush(),
    async read(buffer, offset = 0, length = buffer.length - offset) {
      device.check();
      const own = buffers.own(buffer, "read");
      const { start, bytes, elements } = toRead(own, offset, length);
      if (bytes === 0) return elements(new ArrayBuffer(0));
      const reading = staging.read(own.handle, start, bytes);
      const { submitted } = queue;
      const copy = await reading;
      queue.finished(submitted);
      return elements(copy);
    },
    readNow() {
      throw new DeviceError("WebGPU can't wait in the middle of a page's work: await read() instead of readNow()");
    },
    async synchronize() {
      device.check();
      await done();
    },
    async profile(work) {
      device.check();
      await done();
      const timer = createTimer(device, queue, staging);
      queue.timer = timer;
      try {
        work();
      } finally {
        queue.timer = undefined;
      }
      return timer.read();
    },
    statistics: () => buffers.statistics(),
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
