/** Buffers that the CPU can read, kept between reads. */
import { toArrayBuffer } from "bun:ffi";
import { createBuffer, size } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Handle } from "./library.ts";
import type { Queue } from "./queue.ts";
import { Usage } from "./structs.ts";

/** Losses and counts are read often; weights, which are large, only for a checkpoint. */
const KEPT_BYTES = 1 << 20;

export class Staging {
  readonly #device: Device;
  readonly #idle: Handle[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  /** A copy of bytes of a buffer, as they are after everything queued so far. @throws DeviceError */
  async read(queue: Queue, source: Handle, offset: number, bytes: number): Promise<ArrayBuffer> {
    const { wgpu } = this.#device;
    const kept = bytes <= KEPT_BYTES;
    const staging =
      (kept ? this.#idle.pop() : undefined) ??
      createBuffer(
        this.#device,
        kept ? KEPT_BYTES : bytes,
        Usage.mapRead | Usage.copyTarget,
        `${size(bytes)} to read into`,
      );
    let reusable = false;
    try {
      queue.copy(source, offset, staging, bytes);
      queue.flush();
      await this.#device.mapped(staging, bytes);
      const address = this.#device.made("mapped memory", wgpu.wgpuBufferGetConstMappedRange(staging, 0, bytes));
      const copy = toArrayBuffer(address, 0, bytes).slice(0);
      wgpu.wgpuBufferUnmap(staging);
      reusable = true;
      return copy;
    } finally {
      if (kept && reusable) this.#idle.push(staging);
      else wgpu.wgpuBufferRelease(staging);
    }
  }

  close(): void {
    for (const handle of this.#idle.splice(0)) this.#device.wgpu.wgpuBufferRelease(handle);
  }
}
