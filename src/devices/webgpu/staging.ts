/** Staging buffers: copies buffers into memory that the host can read. They are kept between reads. */
import { size, type BufferRange } from "../gpu/buffers.ts";
import { MAP_READ, Usage, type GpuBufferObject, type WebGpuHandles } from "./api.ts";
import type { Device } from "./device.ts";
import type { Queue } from "./queue.ts";

/** Larger buffers aren't kept: losses and counts are read often, but weights only to be saved. */
const KEPT_BYTES = 1 << 20;

export class Staging {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #idle: GpuBufferObject[] = [];

  constructor(device: Device, queue: Queue) {
    this.#device = device;
    this.#queue = queue;
  }

  /** The bytes, after everything queued so far. @throws DeviceError when the device failed */
  async read({ handle, offset, bytes }: BufferRange<WebGpuHandles>): Promise<ArrayBuffer> {
    const staging = this.#take(bytes);
    let isRead = false;
    try {
      this.#queue.copy(handle, offset, staging, bytes);
      this.#queue.flush();
      await this.#device.settle("reading from the GPU", staging.mapAsync(MAP_READ, 0, bytes));
      const copy = staging.getMappedRange(0, bytes).slice(0);
      staging.unmap();
      isRead = true;
      return copy;
    } finally {
      if (isRead && bytes <= KEPT_BYTES) this.#idle.push(staging);
      else staging.destroy();
    }
  }

  #take(bytes: number): GpuBufferObject {
    const kept = bytes <= KEPT_BYTES ? this.#idle.pop() : undefined;
    const descriptor = { size: Math.max(bytes, KEPT_BYTES), usage: Usage.mapRead | Usage.copyTarget };
    return (
      kept ?? this.#device.create(`${size(bytes)} to read into`, () => this.#device.handle.createBuffer(descriptor))
    );
  }
}
