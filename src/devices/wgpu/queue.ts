/** Queues kernels: encodes them into one compute pass, with their uniforms, and submits them together. */
import { ptr, type Pointer } from "bun:ffi";
import type { KernelTime } from "../../engine/backend.ts";
import { checkWorkgroups, UNIFORM_BYTES, Uniforms } from "../gpu/arguments.ts";
import { Pacing } from "../gpu/pacing.ts";
import type { Pipeline, Program } from "../gpu/pipelines.ts";
import { begin, type Address } from "./arguments.ts";
import { createBuffer } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { WgpuHandles } from "./handles.ts";
import type { Handle } from "./library.ts";
import { pointers, Usage } from "./structs.ts";

/** Maximum number of bytes written between submissions. */
const WRITTEN_BYTES = 1 << 26;

/** Times kernels, each in its own compute pass. */
export interface Timer {
  /** Called before each kernel; returns the descriptor of its pass, or 0. @throws DeviceError when the device failed */
  before(kernel: string): Address;
  /** Called when the kernel's pass is closed. @throws DeviceError when the device failed */
  after(): void;
  /** The times of all kernels, in order. @throws DeviceError when the device failed */
  read(): Promise<KernelTime[]>;
  /** As `read`, but blocks. @throws DeviceError when the device failed */
  readNow(): KernelTime[];
  close(): void;
}

export class Queue {
  readonly uniformBuffer: Handle;
  /** While set, times each kernel that is added. */
  timer: Timer | undefined;
  readonly #device: Device;
  readonly #pacing: Pacing;
  readonly #uniforms: Uniforms;
  readonly #uniformsAddress: Pointer;
  readonly #dynamicOffset = new Uint32Array(1);
  readonly #dynamicOffsetAddress = ptr(this.#dynamicOffset);
  #written = 0;
  #encoder: Handle | undefined;
  #pass: Handle | undefined;
  #pipeline: Handle | undefined;

  /** @param now the host's current time, in ms */
  constructor(device: Device, now = () => performance.now()) {
    this.#device = device;
    this.#pacing = new Pacing(now);
    this.#uniforms = new Uniforms(device.limits.uniformAlignment);
    this.#uniformsAddress = ptr(this.#uniforms.memory);
    this.uniformBuffer = createBuffer(device, UNIFORM_BYTES, Usage.uniform | Usage.copyTarget, "the uniform buffer");
  }

  /** Adds a kernel, and may submit it at once. */
  dispatch(
    program: Program<WgpuHandles>,
    pipeline: Pipeline<WgpuHandles>,
    group: Handle,
    uniforms: Readonly<Record<string, number>>,
  ): void {
    const { wgpu, limits, name } = this.#device;
    if (!this.#uniforms.hasRoomFor(program)) this.flush();
    this.#dynamicOffset[0] = this.#uniforms.put(program, uniforms);
    const [x, y, z] = pipeline.workgroups(uniforms);
    if (!checkWorkgroups(pipeline.name, [x, y, z], limits.workgroupsPerDimension, name)) return;
    this.#uniforms.keep(program);

    if (this.timer) this.#openTimedPass(this.timer, pipeline.name);
    const pass = this.#openPass();
    if (this.#pipeline !== pipeline.handle) {
      wgpu.wgpuComputePassEncoderSetPipeline(pass, pipeline.handle);
      this.#pipeline = pipeline.handle;
    }
    wgpu.wgpuComputePassEncoderSetBindGroup(pass, 0, group, 1, this.#dynamicOffsetAddress);
    wgpu.wgpuComputePassEncoderDispatchWorkgroups(pass, x, y, z);
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
  copy(source: Handle, offset: number, target: Handle, bytes: number): void {
    this.#closePass();
    this.#device.wgpu.wgpuCommandEncoderCopyBufferToBuffer(this.#openEncoder(), source, offset, target, 0, bytes);
  }

  /** Adds a copy of the first `count` queries of a set to `target`. */
  resolve(querySet: Handle, count: number, target: Handle, offset: number): void {
    this.#closePass();
    this.#device.wgpu.wgpuCommandEncoderResolveQuerySet(this.#openEncoder(), querySet, 0, count, target, offset);
  }

  /** Submits queued work. @throws DeviceError when a kernel's arguments are invalid */
  flush(): void {
    if (!this.#encoder) return;
    this.#pacing.submit();
    const { wgpu, queue } = this.#device;
    let commands: Handle;
    try {
      // Submitting invalid commands would end the process, so they are checked first.
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
    if (this.#uniforms.used > 0) {
      wgpu.wgpuQueueWriteBuffer(queue, this.uniformBuffer, 0, this.#uniformsAddress, this.#uniforms.used);
      this.#uniforms.clear();
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

  /** Copies bytes to a buffer, after everything queued so far. `bytes` must be a multiple of 4. */
  write(target: Handle, offset: number, data: NodeJS.TypedArray, bytes: number): void {
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
