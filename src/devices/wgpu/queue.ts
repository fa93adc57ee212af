/** Queues kernels: encodes them into one compute pass, with their uniforms, and submits them together. */
import { ptr } from "bun:ffi";
import type { KernelTime } from "../../engine/backend.ts";
import { DeviceError } from "../../errors.ts";
import { begin, type Address } from "./arguments.ts";
import { createBuffer, roundUp } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Handle } from "./library.ts";
import type { Pipeline, Program } from "./pipelines.ts";
import { pointers, Usage } from "./structs.ts";

/** Space for one submission's uniforms: 4,096 kernels at the largest possible alignment (256). */
const UNIFORM_BYTES = 1 << 20;

/**
 * An idle device gets its next kernels in submissions of 8, then 32, then 128, so that it starts while the rest of a
 * step is still being encoded.
 */
const FIRST_KERNELS = 8;

/**
 * A submission gets as many kernels as take about this long, judging by the average so far; 8 until there is one.
 * Windows resets a GPU that spends 2 s on one submission, other drivers one that spends several. A step of `alexnet`
 * with 128 images is 330 GFLOP in some 120 kernels: 1.6 s at the 200 GFLOP/s of a small integrated GPU, which then gets
 * 7 kernels at a time. The largest kernel, conv2's weight gradient, has 57 GFLOP and takes 0.3 s there.
 */
const SUBMISSION_MS = 100;

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
  readonly #now: () => number;
  readonly #uniforms = new ArrayBuffer(UNIFORM_BYTES);
  readonly #view = new DataView(this.#uniforms);
  readonly #uniformsAddress = ptr(this.#uniforms);
  readonly #dynamicOffset = new Uint32Array(1);
  readonly #dynamicOffsetAddress = ptr(this.#dynamicOffset);
  #uniformsUsed = 0;
  /** Kernels since the last submission, and the number that triggers the next one. */
  #kernels = 0;
  #ahead = FIRST_KERNELS;
  /** Maximum number of kernels in a submission. */
  #most = FIRST_KERNELS;
  /** Kernels submitted so far, how many of them are known to be done, and when the device began with the others. */
  #submitted = 0;
  #done = 0;
  #since = 0;
  #written = 0;
  #encoder: Handle | undefined;
  #pass: Handle | undefined;
  #pipeline: Handle | undefined;

  /** @param now the host's current time, in ms */
  constructor(device: Device, now = () => performance.now()) {
    this.#device = device;
    this.#now = now;
    this.uniformBuffer = createBuffer(device, UNIFORM_BYTES, Usage.uniform | Usage.copyTarget, "the uniform buffer");
  }

  /** Adds a kernel, and may submit it at once. */
  dispatch(program: Program, pipeline: Pipeline, group: Handle, uniforms: Readonly<Record<string, number>>): void {
    const { wgpu, limits } = this.#device;
    const bytes = roundUp(program.uniformBytes, limits.uniformAlignment);
    if (this.#uniformsUsed + bytes > UNIFORM_BYTES) this.flush();
    const offset = this.#uniformsUsed;
    this.#pack(program, uniforms, offset);

    const [x, y, z] = pipeline.workgroups(uniforms);
    if (x === 0 || y === 0 || z === 0) return;
    const most = limits.workgroupsPerDimension;
    if (!(x <= most && y <= most && z <= most)) {
      throw new DeviceError(
        `kernel ${pipeline.name}: ${x} × ${y} × ${z} workgroups, but ${this.#device.name} starts at most ${most} per dimension: use a smaller batch`,
      );
    }
    this.#uniformsUsed += bytes;

    if (this.timer) this.#openTimedPass(this.timer, pipeline.name);
    const pass = this.#openPass();
    if (this.#pipeline !== pipeline.handle) {
      wgpu.wgpuComputePassEncoderSetPipeline(pass, pipeline.handle);
      this.#pipeline = pipeline.handle;
    }
    this.#dynamicOffset[0] = offset;
    wgpu.wgpuComputePassEncoderSetBindGroup(pass, 0, group, 1, this.#dynamicOffsetAddress);
    wgpu.wgpuComputePassEncoderDispatchWorkgroups(pass, x, y, z);
    if (this.timer) {
      this.#closePass();
      this.timer.after();
    }
    if (++this.#kernels >= Math.min(this.#ahead, this.#most)) {
      this.flush();
      this.#ahead *= 4;
    }
  }

  /** Number of kernels submitted so far. */
  get submitted(): number {
    return this.#submitted;
  }

  /** Called when the device has done the first `kernels` of those submitted. If it is idle, the next go to it soon. */
  finished(kernels: number): void {
    this.#ahead = FIRST_KERNELS;
    if (kernels <= this.#done) return;
    const now = this.#now();
    const each = (now - this.#since) / (kernels - this.#done);
    this.#most = Math.max(1, Math.floor(SUBMISSION_MS / each));
    this.#done = kernels;
    this.#since = now;
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
    if (this.#done === this.#submitted) this.#since = this.#now();
    this.#submitted += this.#kernels;
    this.#kernels = 0;
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
    if (this.#uniformsUsed > 0) {
      wgpu.wgpuQueueWriteBuffer(queue, this.uniformBuffer, 0, this.#uniformsAddress, this.#uniformsUsed);
      this.#uniformsUsed = 0;
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

  #pack(program: Program, uniforms: Readonly<Record<string, number>>, offset: number): void {
    let at = offset;
    for (const { name, isFloat } of program.uniforms) {
      const value = uniforms[name];
      if (value === undefined) throw new DeviceError(`kernel ${program.kernel.name}: uniform ${name} is missing`);
      if (isFloat) this.#view.setFloat32(at, value, true);
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
