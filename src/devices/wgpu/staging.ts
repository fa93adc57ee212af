/** Buffers that the CPU can read, kept between reads. */
import { toArrayBuffer } from "bun:ffi";
import { createBuffer, size } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Handle } from "./library.ts";
import type { Queue } from "./queue.ts";
import { Usage } from "./structs.ts";

/** Losses and counts are read often; weights, which are large, only for a checkpoint. */
const KEPT_BYTES = 1 << 20;

/** Bytes of a buffer, as they are after everything queued so far. */
export interface Source {
  readonly handle: Handle;
  readonly offset: number;
  readonly bytes: number;
}

export class Staging {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #idle: Handle[] = [];

  constructor(device: Device, queue: Queue) {
    this.#device = device;
    this.#queue = queue;
  }

  /** @throws DeviceError */
  async read(source: Source): Promise<ArrayBuffer> {
    const staging = this.#take(source.bytes);
    let copy: ArrayBuffer | undefined;
    try {
      this.#copy(source, staging);
      await this.#device.mapped(staging, source.bytes);
      return (copy = this.#unmap(staging, source.bytes));
    } finally {
      this.#giveBack(staging, source.bytes, copy !== undefined);
    }
  }

  /** The same, and blocks until it is there: for a few numbers where kernels are timed. @throws DeviceError */
  readNow(source: Source): ArrayBuffer {
    const staging = this.#take(source.bytes);
    let copy: ArrayBuffer | undefined;
    try {
      this.#copy(source, staging);
      this.#device.mapNow(staging, source.bytes);
      return (copy = this.#unmap(staging, source.bytes));
    } finally {
      this.#giveBack(staging, source.bytes, copy !== undefined);
    }
  }

  #take(bytes: number): Handle {
    const kept = bytes <= KEPT_BYTES ? this.#idle.pop() : undefined;
    const usage = Usage.mapRead | Usage.copyTarget;
    return kept ?? createBuffer(this.#device, Math.max(bytes, KEPT_BYTES), usage, `${size(bytes)} to read into`);
  }

  #copy({ handle, offset, bytes }: Source, staging: Handle): void {
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
