/** Buffers and bind groups in wgpu-native. */
import { KernelBuffers, type BoundRange } from "../gpu/buffers.ts";
import { begin } from "./arguments.ts";
import type { Device } from "./device.ts";
import type { WgpuHandles } from "./handles.ts";
import type { Handle } from "./library.ts";
import { bindGroupDescriptor, bufferDescriptor, Usage } from "./structs.ts";

export class Buffers extends KernelBuffers<WgpuHandles> {
  readonly #device: Device;

  /** @param uniforms the buffer that holds every kernel's binding 0 */
  constructor(device: Device, uniforms: Handle) {
    super(device, uniforms);
    this.#device = device;
  }

  protected override createBuffer(bytes: number, what: string): Handle {
    return createBuffer(this.#device, bytes, Usage.storage | Usage.copySource | Usage.copyTarget, what);
  }

  protected override releaseBuffer(handle: Handle): void {
    this.#device.wgpu.wgpuBufferRelease(handle);
  }

  protected override createGroup(
    what: string,
    { bindGroups }: WgpuHandles["layout"],
    ranges: readonly BoundRange<WgpuHandles>[],
  ): Handle {
    const { wgpu, handle: device } = this.#device;
    begin();
    return this.#device.create(
      what,
      () => wgpu.wgpuDeviceCreateBindGroup(device, bindGroupDescriptor(bindGroups, ranges)),
      wgpu.wgpuBindGroupRelease,
    );
  }

  protected override releaseGroup(handle: Handle): void {
    this.#device.wgpu.wgpuBindGroupRelease(handle);
  }
}

export function createBuffer(device: Device, bytes: number, usage: number, what: string): Handle {
  begin();
  return device.create(
    what,
    () => device.wgpu.wgpuDeviceCreateBuffer(device.handle, bufferDescriptor(bytes, usage)),
    device.wgpu.wgpuBufferRelease,
  );
}
