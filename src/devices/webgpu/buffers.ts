/** Buffers and bind groups of the standard API. */
import { KernelBuffers, type BoundRange } from "../gpu/buffers.ts";
import { Usage, type GpuBufferObject, type WebGpuHandles } from "./api.ts";
import type { Device } from "./device.ts";
import type { Queue } from "./queue.ts";

export class Buffers extends KernelBuffers<WebGpuHandles> {
  readonly #device: Device;
  readonly #queue: Queue;

  constructor(device: Device, queue: Queue) {
    super(device, queue.uniformBuffer);
    this.#device = device;
    this.#queue = queue;
  }

  protected override createBuffer(bytes: number, what: string): GpuBufferObject {
    const usage = Usage.storage | Usage.copySource | Usage.copyTarget;
    return this.#device.create(what, () => this.#device.handle.createBuffer({ size: bytes, usage }));
  }

  protected override releaseBuffer(handle: GpuBufferObject): void {
    this.#queue.destroyLater(handle);
  }

  protected override createGroup(
    what: string,
    { bindGroups }: WebGpuHandles["layout"],
    ranges: readonly BoundRange<WebGpuHandles>[],
  ): object {
    const entries = ranges.map((range, binding) => ({ binding, resource: range }));
    return this.#device.create(what, () => this.#device.handle.createBindGroup({ layout: bindGroups, entries }));
  }

  protected override releaseGroup(): void {}
}
