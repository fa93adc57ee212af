/** The methods of a backend that are the same whatever API its GPU is reached by. */
import { checkAllocation, type Backend, type Buffer, type BufferView } from "../../engine/backend.ts";
import type { Kernel } from "../../engine/kernel.ts";
import { asStored } from "../../engine/later/half.ts";
import type { BufferRange, KernelBuffers } from "./buffers.ts";
import { toRead, toWrite } from "./copies.ts";
import type { Limits } from "./description.ts";
import type { Handles } from "./handles.ts";
import type { KernelPipelines, Pipeline, Program } from "./pipelines.ts";
import type { KernelQueue, PassTimer } from "./queue.ts";

/** The parts of a backend. */
interface Parts<H extends Handles> {
  readonly device: {
    readonly description: string;
    readonly limits: Limits;
    readonly hasHalf: boolean;
    /** @throws DeviceError when the device is closed, lost, or has failed */
    check(): void;
    /** Resolves when the work submitted so far is done. @throws DeviceError when the device failed */
    workDone(): Promise<void>;
  };
  readonly queue: KernelQueue<H, PassTimer<unknown>>;
  readonly pipelines: KernelPipelines<H>;
  readonly buffers: KernelBuffers<H>;
  readonly staging: { read(range: BufferRange<H>): Promise<ArrayBuffer> };
  readonly tuner: {
    choose(
      program: Program<H>,
      given: Readonly<Record<string, Buffer | BufferView>>,
      uniforms: Readonly<Record<string, number>>,
    ): Pipeline<H>;
  };
}

type Methods = Pick<Backend, "allocate" | "free" | "write" | "run" | "flush" | "read" | "synchronize" | "statistics">;

export function methodsOf<H extends Handles>({
  device,
  queue,
  pipelines,
  buffers,
  staging,
  tuner,
}: Parts<H>): Methods & Pick<Backend, "description" | "hasHalf"> {
  return {
    description: device.description,
    hasHalf: device.hasHalf,
    allocate(type, length) {
      checkAllocation(type, length, device.hasHalf);
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
      const program = pipelines.program(asStored(kernel, given));
      const pipeline = tuner.choose(program, given, uniforms);
      queue.dispatch(program, pipeline, buffers.group(program, given), uniforms);
    },
    flush: () => queue.flush(),
    async read(buffer, offset = 0, length = buffer.length - offset) {
      device.check();
      const own = buffers.own(buffer, "read");
      const { start, bytes, elements } = toRead(own, offset, length);
      if (bytes === 0) return elements(new ArrayBuffer(0));
      const reading = staging.read({ handle: own.handle, offset: start, bytes });
      const { submitted } = queue;
      const copy = await reading;
      queue.finished(submitted);
      return elements(copy);
    },
    async synchronize() {
      device.check();
      queue.flush();
      const { submitted } = queue;
      await device.workDone();
      queue.finished(submitted);
    },
    statistics: () => buffers.statistics(),
  };
}
