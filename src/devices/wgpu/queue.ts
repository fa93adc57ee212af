/** Queues kernels: encodes them into one compute pass, with their uniforms, and submits them together. */
import { ptr, type Pointer } from "bun:ffi";
import type { KernelTime } from "../../engine/backend.ts";
import type { Workgroups } from "../../engine/kernel.ts";
import { UNIFORM_BYTES } from "../gpu/arguments.ts";
import { KernelQueue, WRITTEN_BYTES, type PassTimer } from "../gpu/queue.ts";
import { begin, type Address } from "./arguments.ts";
import { createBuffer } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { WgpuHandles } from "./handles.ts";
import type { Handle } from "./library.ts";
import { pointers, Usage } from "./structs.ts";

/** Times kernels: each pass gets the address of its descriptor, or 0. */
export interface Timer extends PassTimer<Address> {
  /** The times of all kernels, in order. @throws DeviceError when the device failed */
  read(): Promise<KernelTime[]>;
  /** As `read`, but blocks. @throws DeviceError when the device failed */
  readNow(): KernelTime[];
  close(): void;
}

export class Queue extends KernelQueue<WgpuHandles, Timer> {
  readonly uniformBuffer: Handle;
  readonly #device: Device;
  readonly #uniformsAddress: Pointer;
  readonly #dynamicOffsetAddress = ptr(this.dynamicOffset);
  #written = 0;
  #encoder: Handle | undefined;
  #pass: Handle | undefined;
  #pipeline: Handle | undefined;

  /** @param now the host's current time, in ms */
  constructor(device: Device, now?: () => number) {
    super(device, now);
    this.#device = device;
    this.#uniformsAddress = ptr(this.uniforms.memory);
    this.uniformBuffer = createBuffer(device, UNIFORM_BYTES, Usage.uniform | Usage.copyTarget, "the uniform buffer");
  }

  protected override encode(pipeline: Handle, group: Handle, [x, y, z]: Workgroups): void {
    const { wgpu } = this.#device;
    const pass = (this.#pass ??= this.#beginPass(0));
    if (this.#pipeline !== pipeline) {
      wgpu.wgpuComputePassEncoderSetPipeline(pass, pipeline);
      this.#pipeline = pipeline;
    }
    wgpu.wgpuComputePassEncoderSetBindGroup(pass, 0, group, 1, this.#dynamicOffsetAddress);
    wgpu.wgpuComputePassEncoderDispatchWorkgroups(pass, x, y, z);
  }

  /** Adds a copy to the start of `target`. */
  copy(source: Handle, offset: number, target: Handle, bytes: number): void {
    this.closePass();
    this.#device.wgpu.wgpuCommandEncoderCopyBufferToBuffer(this.#openEncoder(), source, offset, target, 0, bytes);
  }

  /** Adds a copy of the first `count` queries of a set to `target`. */
  resolve(querySet: Handle, count: number, target: Handle, offset: number): void {
    this.closePass();
    this.#device.wgpu.wgpuCommandEncoderResolveQuerySet(this.#openEncoder(), querySet, 0, count, target, offset);
  }

  override flush(): void {
    if (!this.#encoder) return;
    this.pacing.submit();
    const { wgpu, queue } = this.#device;
    let commands: Handle;
    try {
      // Submitting invalid commands would end the process, so they are checked first.
      commands = this.#device.create(
        "encoding kernels",
        () => {
          this.closePass();
          return wgpu.wgpuCommandEncoderFinish(this.#encoder!, 0);
        },
        wgpu.wgpuCommandBufferRelease,
      );
    } finally {
      wgpu.wgpuCommandEncoderRelease(this.#encoder);
      this.#encoder = undefined;
    }
    if (this.uniforms.used > 0) {
      wgpu.wgpuQueueWriteBuffer(queue, this.uniformBuffer, 0, this.#uniformsAddress, this.uniforms.used);
      this.uniforms.clear();
    }
    try {
      this.#device.poll();
      begin();
      wgpu.wgpuQueueSubmit(queue, 1, pointers([commands]));
    } finally {
      wgpu.wgpuCommandBufferRelease(commands);
    }
    this.#written = 0;
    this.#device.check();
  }

  override write(target: Handle, offset: number, data: NodeJS.TypedArray, bytes: number): void {
    // wgpu performs such writes before the next submission.
    this.flush();
    const { wgpu, queue } = this.#device;
    wgpu.wgpuQueueWriteBuffer(queue, target, offset, data, bytes);
    this.#written += bytes;
    // wgpu keeps copies of the data until a submission is done, and loading weights would never submit.
    if (this.#written > WRITTEN_BYTES) {
      this.#device.poll();
      wgpu.wgpuQueueSubmit(queue, 0, 0);
      this.#written = 0;
    }
  }

  #openEncoder(): Handle {
    return (this.#encoder ??= this.#device.made(
      "command encoder",
      this.#device.wgpu.wgpuDeviceCreateCommandEncoder(this.#device.handle, 0),
    ));
  }

  protected override openTimedPass(timer: Timer, kernel: string): void {
    this.#pass = this.#beginPass(timer.before(kernel));
  }

  #beginPass(descriptor: Address): Handle {
    const { wgpu } = this.#device;
    return this.#device.made("compute pass", wgpu.wgpuCommandEncoderBeginComputePass(this.#openEncoder(), descriptor));
  }

  protected override closePass(): void {
    if (!this.#pass) return;
    this.#device.wgpu.wgpuComputePassEncoderEnd(this.#pass);
    this.#device.wgpu.wgpuComputePassEncoderRelease(this.#pass);
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  close(): void {
    this.closePass();
    if (this.#encoder) this.#device.wgpu.wgpuCommandEncoderRelease(this.#encoder);
    this.#encoder = undefined;
    this.#device.wgpu.wgpuBufferRelease(this.uniformBuffer);
  }
}
