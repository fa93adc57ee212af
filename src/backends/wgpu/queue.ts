/** What is queued: kernels encoded into one compute pass, and their uniforms, until they are submitted together. */
import { ptr } from "bun:ffi";
import { DeviceError } from "../../errors.ts";
import type { Kernel } from "../kernel.ts";
import { begin, room, setU32, type Address } from "./arguments.ts";
import { createBuffer, roundUp, uniformRoom } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Handle } from "./library.ts";
import type { Pipeline } from "./pipelines.ts";
import { pointers, Usage } from "./structs.ts";
import type { Timer } from "./timers.ts";

/** Room for the uniforms of one submission: 4,096 kernels at the largest alignment that there is (256). */
const UNIFORM_BYTES = 1 << 20;

/** How much may be written before a submission. */
const WRITTEN_BYTES = 1 << 26;

export class Queue {
  readonly uniformBuffer: Handle;
  /** Times each kernel that is added while it is set. */
  timer: Timer | undefined;
  readonly #device: Device;
  readonly #uniforms = new ArrayBuffer(UNIFORM_BYTES);
  readonly #view = new DataView(this.#uniforms);
  readonly #uniformsAddress = ptr(this.#uniforms);
  #uniformsUsed = 0;
  #written = 0;
  #encoder: Handle | undefined;
  #pass: Handle | undefined;
  #pipeline: Handle | undefined;

  constructor(device: Device) {
    this.#device = device;
    this.uniformBuffer = createBuffer(device, UNIFORM_BYTES, Usage.uniform | Usage.copyTarget, "the uniform buffer");
  }

  /** Adds a kernel. */
  dispatch(kernel: Kernel, pipeline: Pipeline, group: Handle, uniforms: Readonly<Record<string, number>>): void {
    const bytes = roundUp(uniformRoom(pipeline), this.#device.limits.uniformAlignment);
    if (this.#uniformsUsed + bytes > UNIFORM_BYTES) this.flush();
    const offset = this.#uniformsUsed;
    this.#pack(kernel, uniforms, offset);

    const [x, y, z] = kernel.workgroups(uniforms);
    if (x === 0 || y === 0 || z === 0) return;
    const most = this.#device.limits.workgroupsPerDimension;
    if (!(x <= most && y <= most && z <= most)) {
      throw new DeviceError(
        `kernel ${kernel.name}: ${x} × ${y} × ${z} workgroups; ${this.#device.name} starts at most ${most} per dimension`,
      );
    }
    this.#uniformsUsed += bytes;

    const { wgpu } = this.#device;
    if (this.timer) this.#openTimedPass(this.timer, kernel.name);
    const pass = this.#openPass();
    if (this.#pipeline !== pipeline.handle) {
      wgpu.wgpuComputePassEncoderSetPipeline(pass, pipeline.handle);
      this.#pipeline = pipeline.handle;
    }
    begin();
    const dynamicOffset = room(4);
    setU32(dynamicOffset, offset);
    wgpu.wgpuComputePassEncoderSetBindGroup(pass, 0, group, 1, dynamicOffset);
    wgpu.wgpuComputePassEncoderDispatchWorkgroups(pass, x, y, z);
    if (this.timer) {
      this.#closePass();
      this.timer.after();
    }
  }

  /** Adds a copy to `target`, which begins at its byte 0. */
  copy(source: Handle, offset: number, target: Handle, bytes: number): void {
    this.#closePass();
    this.#device.wgpu.wgpuCommandEncoderCopyBufferToBuffer(this.#openEncoder(), source, offset, target, 0, bytes);
  }

  /** Adds a copy of the first queries of a set to `target`. */
  resolve(querySet: Handle, count: number, target: Handle): void {
    this.#closePass();
    this.#device.wgpu.wgpuCommandEncoderResolveQuerySet(this.#openEncoder(), querySet, 0, count, target, 0);
  }

  /** Submits what is queued. @throws DeviceError when a kernel can't be run as it was asked for. */
  flush(): void {
    if (!this.#encoder) return;
    const { wgpu, queue } = this.#device;
    let commands: Handle;
    try {
      // Submitting commands that are wrong would end the process, so errors are looked for before.
      commands = this.#device.create(
        "encoding kernels",
        () => {
          this.#closePass();
          return wgpu.wgpuCommandEncoderFinish(this.#encoder!, 0);
        },
        wgpu.wgpuCommandBufferRelease,
      );
    } finally {
      wgpu.wgpuCommandEncoderRelease(this.#encoder);
      this.#encoder = undefined;
    }
    if (this.#uniformsUsed > 0) {
      wgpu.wgpuQueueWriteBuffer(queue, this.uniformBuffer, 0, this.#uniformsAddress, this.#uniformsUsed);
      this.#uniformsUsed = 0;
    }
    begin();
    wgpu.wgpuQueueSubmit(queue, 1, pointers([commands]));
    wgpu.wgpuCommandBufferRelease(commands);
    this.#written = 0;
    this.#device.check();
  }

  /** Copies bytes to a buffer, after everything queued so far. `bytes` must be a multiple of 4. */
  write(target: Handle, offset: number, data: NodeJS.TypedArray, bytes: number): void {
    // wgpu puts such writes before the next submission.
    this.flush();
    const { wgpu, queue } = this.#device;
    wgpu.wgpuQueueWriteBuffer(queue, target, offset, data, bytes);
    this.#written += bytes;
    // Its copies of the data live until a submission is done, which a load of weights would never come to.
    if (this.#written > WRITTEN_BYTES) {
      wgpu.wgpuQueueSubmit(queue, 0, 0);
      this.#written = 0;
    }
  }

  #pack(kernel: Kernel, uniforms: Readonly<Record<string, number>>, offset: number): void {
    let at = offset;
    for (const name in kernel.uniforms) {
      const value = uniforms[name];
      if (value === undefined) throw new DeviceError(`kernel ${kernel.name}: no uniform ${name} given`);
      if (kernel.uniforms[name] === "f32") this.#view.setFloat32(at, value, true);
      else this.#view.setUint32(at, value, true);
      at += 4;
    }
  }

  #openEncoder(): Handle {
    return (this.#encoder ??= this.#device.made(
      "command encoder",
      this.#device.wgpu.wgpuDeviceCreateCommandEncoder(this.#device.handle, 0),
    ));
  }

  #openPass(): Handle {
    return (this.#pass ??= this.#beginPass(0));
  }

  #openTimedPass(timer: Timer, kernel: string): void {
    this.#closePass();
    this.#pass = this.#beginPass(timer.before(kernel));
  }

  #beginPass(descriptor: Address): Handle {
    const { wgpu } = this.#device;
    return this.#device.made("compute pass", wgpu.wgpuCommandEncoderBeginComputePass(this.#openEncoder(), descriptor));
  }

  #closePass(): void {
    if (!this.#pass) return;
    this.#device.wgpu.wgpuComputePassEncoderEnd(this.#pass);
    this.#device.wgpu.wgpuComputePassEncoderRelease(this.#pass);
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  close(): void {
    this.#closePass();
    if (this.#encoder) this.#device.wgpu.wgpuCommandEncoderRelease(this.#encoder);
    this.#encoder = undefined;
    this.#device.wgpu.wgpuBufferRelease(this.uniformBuffer);
  }
}
