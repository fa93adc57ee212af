/** Queues kernels: encodes them into one compute pass, with their uniforms, and submits them together. */
import type { Workgroups } from "../../engine/kernel.ts";
import { UNIFORM_BYTES } from "../gpu/arguments.ts";
import { KernelQueue, WRITTEN_BYTES, type PassTimer } from "../gpu/queue.ts";
import {
  Usage,
  type GpuBufferObject,
  type GpuCommandEncoder,
  type GpuComputePass,
  type GpuQuerySet,
  type TimestampWrites,
  type WebGpuHandles,
} from "./api.ts";
import type { Device } from "./device.ts";

/** Times kernels, each in its own compute pass. */
export type Timer = PassTimer<TimestampWrites | undefined>;

export class Queue extends KernelQueue<WebGpuHandles, Timer> {
  readonly uniformBuffer: GpuBufferObject;
  readonly #device: Device;
  /** What unsubmitted commands may still use. */
  readonly #doomed: GpuBufferObject[] = [];
  #written = 0;
  #encoder: GpuCommandEncoder | undefined;
  #pass: GpuComputePass | undefined;
  #pipeline: object | undefined;

  constructor(device: Device) {
    super(device);
    this.#device = device;
    this.uniformBuffer = device.create("the uniform buffer", () =>
      device.handle.createBuffer({ size: UNIFORM_BYTES, usage: Usage.uniform | Usage.copyTarget }),
    );
  }

  protected override encode(pipeline: object, group: object, [x, y, z]: Workgroups): void {
    const pass = (this.#pass ??= this.#openEncoder().beginComputePass());
    if (this.#pipeline !== pipeline) {
      pass.setPipeline(pipeline);
      this.#pipeline = pipeline;
    }
    pass.setBindGroup(0, group, this.dynamicOffset, 0, 1);
    pass.dispatchWorkgroups(x, y, z);
  }

  /** Adds a copy to the start of `target`. */
  copy(source: GpuBufferObject, offset: number, target: GpuBufferObject, bytes: number): void {
    this.closePass();
    this.#openEncoder().copyBufferToBuffer(source, offset, target, 0, bytes);
  }

  /** Adds a copy of the first `count` queries of a set to `target`. */
  resolve(set: GpuQuerySet, count: number, target: GpuBufferObject, offset: number): void {
    this.closePass();
    this.#openEncoder().resolveQuerySet(set, 0, count, target, offset);
  }

  override flush(): void {
    if (!this.#encoder) return;
    this.pacing.submit();
    this.closePass();
    const encoder = this.#encoder;
    this.#encoder = undefined;
    const { queue } = this.#device.handle;
    if (this.uniforms.used > 0) {
      queue.writeBuffer(this.uniformBuffer, 0, this.uniforms.memory, 0, this.uniforms.used);
      this.uniforms.clear();
    }
    this.#device.create("encoding kernels", () => queue.submit([encoder.finish()]));
    for (const buffer of this.#doomed.splice(0)) buffer.destroy();
    this.#written = 0;
  }

  override write(target: GpuBufferObject, offset: number, data: ArrayBufferView, bytes: number): void {
    // WebGPU performs such writes before the next submission.
    this.flush();
    this.#device.handle.queue.writeBuffer(target, offset, data.buffer, data.byteOffset, bytes);
    this.#written += bytes;
    // Implementations keep copies of the data until a submission, and loading weights would never submit.
    if (this.#written > WRITTEN_BYTES) {
      this.#device.handle.queue.submit([]);
      this.#written = 0;
    }
  }

  /** Destroys a buffer, which work that isn't submitted yet may use, as soon as it is. */
  destroyLater(buffer: GpuBufferObject): void {
    if (this.#encoder) this.#doomed.push(buffer);
    else buffer.destroy();
  }

  #openEncoder(): GpuCommandEncoder {
    return (this.#encoder ??= this.#device.handle.createCommandEncoder());
  }

  protected override openTimedPass(timer: Timer, kernel: string): void {
    const timestampWrites = timer.before(kernel);
    this.#pass = this.#openEncoder().beginComputePass(timestampWrites && { timestampWrites });
  }

  protected override closePass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }
}
