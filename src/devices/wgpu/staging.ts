/** Staging buffers: copies buffers into memory that the CPU can read. They are kept between reads. */
import { toArrayBuffer } from "bun:ffi";
import { size, type BufferRange as AnyRange } from "../gpu/buffers.ts";
import { createBuffer } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { WgpuHandles } from "./handles.ts";
import type { Handle } from "./library.ts";
import type { Queue } from "./queue.ts";
import { Usage } from "./structs.ts";

/** Larger buffers aren't kept: losses and counts are read often, but weights only for checkpoints. */
const KEPT_BYTES = 1 << 20;

export type BufferRange = AnyRange<WgpuHandles>;

export class Staging {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #idle: Handle[] = [];

  constructor(device: Device, queue: Queue) {
    this.#device = device;
    this.#queue = queue;
  }

  /** The bytes, after everything queued so far. @throws DeviceError when the device failed */
  async read(range: BufferRange): Promise<ArrayBuffer> {
    const staging = this.#take(range.bytes);
    let copy: ArrayBuffer | undefined;
    try {
      this.#copy(range, staging);
      await this.#device.mapped(staging, range.bytes);
      return (copy = this.#unmap(staging, range.bytes));
    } finally {
      this.#giveBack(staging, range.bytes, copy !== undefined);
    }
  }

  /** As `read`, but blocks; for the few numbers of timing. @throws DeviceError when the device failed */
  readNow(range: BufferRange): ArrayBuffer {
    const staging = this.#take(range.bytes);
    let copy: ArrayBuffer | undefined;
    try {
      this.#copy(range, staging);
      this.#device.mapNow(staging, range.bytes);
      return (copy = this.#unmap(staging, range.bytes));
    } finally {
      this.#giveBack(staging, range.bytes, copy !== undefined);
    }
  }

  #take(bytes: number): Handle {
    const kept = bytes <= KEPT_BYTES ? this.#idle.pop() : undefined;
    const usage = Usage.mapRead | Usage.copyTarget;
    return kept ?? createBuffer(this.#device, Math.max(bytes, KEPT_BYTES), usage, `${size(bytes)} to read into`);
  }

  #copy({ handle, offset, bytes }: BufferRange, staging: Handle): void {
    this.#queue.copy(handle, offset, staging, bytes);
    this.#queue.flush();
  }

  #unmap(staging: Handle, bytes: number): ArrayBuffer {
    const { wgpu } = this.#device;
    const address = this.#device.made("mapped memory", wgpu.wgpuBufferGetConstMappedRange(staging, 0, bytes));
    const copy = toArrayBuffer(address, 0, bytes).slice(0);
    wgpu.wgpuBufferUnmap(staging);
    return copy;
  }

  #giveBack(staging: Handle, bytes: number, isReusable: boolean): void {
    if (isReusable && bytes <= KEPT_BYTES) this.#idle.push(staging);
    else this.#device.wgpu.wgpuBufferRelease(staging);
  }

  close(): void {
    for (const handle of this.#idle.splice(0)) this.#device.wgpu.wgpuBufferRelease(handle);
  }
}
