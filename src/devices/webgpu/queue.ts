/** Queues kernels: encodes them into one compute pass, with their uniforms, and submits them together. */
import { checkWorkgroups, UNIFORM_BYTES, Uniforms } from "../gpu/arguments.ts";
import { Pacing } from "../gpu/pacing.ts";
import type { Pipeline, Program } from "../gpu/pipelines.ts";
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

/** Maximum number of bytes written between submissions. */
const WRITTEN_BYTES = 1 << 26;

/** Times kernels, each in its own compute pass. */
export interface Timer {
  /** Called before each kernel. @returns where its pass is to write the device's clock, if anywhere */
  before(kernel: string): TimestampWrites | undefined;
  /** Called when the kernel's pass is closed. */
  after(): void;
}

export class Queue {
  readonly uniformBuffer: GpuBufferObject;
  /** While set, times each kernel that is added. */
  timer: Timer | undefined;
  readonly #device: Device;
  readonly #pacing = new Pacing(() => performance.now());
  readonly #uniforms: Uniforms;
  readonly #dynamicOffset = new Uint32Array(1);
  /** What unsubmitted commands may still use. */
  readonly #doomed: GpuBufferObject[] = [];
  #written = 0;
  #encoder: GpuCommandEncoder | undefined;
  #pass: GpuComputePass | undefined;
  #pipeline: object | undefined;

  constructor(device: Device) {
    this.#device = device;
    this.#uniforms = new Uniforms(device.limits.uniformAlignment);
    this.uniformBuffer = device.create("the uniform buffer", () =>
      device.handle.createBuffer({ size: UNIFORM_BYTES, usage: Usage.uniform | Usage.copyTarget }),
    );
  }

  /** Adds a kernel, and may submit it at once. */
  dispatch(
    program: Program<WebGpuHandles>,
    pipeline: Pipeline<WebGpuHandles>,
    group: object,
    uniforms: Readonly<Record<string, number>>,
  ): void {
    const { limits, name } = this.#device;
    if (!this.#uniforms.hasRoomFor(program)) this.flush();
    this.#dynamicOffset[0] = this.#uniforms.put(program, uniforms);
    const [x, y, z] = pipeline.workgroups(uniforms);
    if (!checkWorkgroups(pipeline.name, [x, y, z], limits.workgroupsPerDimension, name)) return;
    this.#uniforms.keep(program);

    if (this.timer) this.#openTimedPass(this.timer, pipeline.name);
    const pass = (this.#pass ??= this.#openEncoder().beginComputePass());
    if (this.#pipeline !== pipeline.handle) {
      pass.setPipeline(pipeline.handle);
      this.#pipeline = pipeline.handle;
    }
    pass.setBindGroup(0, group, this.#dynamicOffset, 0, 1);
    pass.dispatchWorkgroups(x, y, z);
    if (this.timer) {
      this.#closePass();
      this.timer.after();
    }
    if (this.#pacing.add()) this.flush();
  }

  /** Number of kernels submitted so far. */
  get submitted(): number {
    return this.#pacing.submitted;
  }

  /** Called when the device has done the first `kernels` of those submitted. If it is idle, the next go to it soon. */
  finished(kernels: number): void {
    this.#pacing.finished(kernels);
  }

  /** Adds a copy to the start of `target`. */
  copy(source: GpuBufferObject, offset: number, target: GpuBufferObject, bytes: number): void {
    this.#closePass();
    this.#openEncoder().copyBufferToBuffer(source, offset, target, 0, bytes);
  }

  /** Adds a copy of the first `count` queries of a set to `target`. */
  resolve(set: GpuQuerySet, count: number, target: GpuBufferObject, offset: number): void {
    this.#closePass();
    this.#openEncoder().resolveQuerySet(set, 0, count, target, offset);
  }

  /** Submits queued work. */
  flush(): void {
    if (!this.#encoder) return;
    this.#pacing.submit();
    this.#closePass();
    const encoder = this.#encoder;
    this.#encoder = undefined;
    const { queue } = this.#device.handle;
    if (this.#uniforms.used > 0) {
      queue.writeBuffer(this.uniformBuffer, 0, this.#uniforms.memory, 0, this.#uniforms.used);
      this.#uniforms.clear();
    }
    this.#device.create("encoding kernels", () => queue.submit([encoder.finish()]));
    for (const buffer of this.#doomed.splice(0)) buffer.destroy();
    this.#written = 0;
  }

  /** Copies bytes to a buffer, after everything queued so far. `bytes` must be a multiple of 4. */
  write(target: GpuBufferObject, offset: number, data: ArrayBufferView, bytes: number): void {
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

  #openTimedPass(timer: Timer, kernel: string): void {
    this.#closePass();
    const timestampWrites = timer.before(kernel);
    this.#pass = this.#openEncoder().beginComputePass(timestampWrites && { timestampWrites });
  }

  #closePass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }
}
