/** Buffers on the device, and the bind groups that give them to kernels. */
import { DeviceError } from "../../errors.ts";
import { ELEMENT_BYTES, type Buffer, type BufferView } from "../backend.ts";
import { access, type ElementType, type Kernel } from "../kernel.ts";
import { begin } from "./arguments.ts";
import type { Device } from "./device.ts";
import type { Handle } from "./library.ts";
import type { Pipeline } from "./pipelines.ts";
import { bindGroupDescriptor, bufferDescriptor, type BoundRange } from "./structs.ts";

export interface WgpuBuffer extends Buffer {
  readonly handle: Handle;
  /** Rounded up to 4, the unit of WebGPU's copies. */
  readonly bytes: number;
  /** Distinguishes buffers in the keys of bind groups; an address can come again. */
  readonly id: number;
  /** The keys of the bind groups that it is in. */
  readonly groups: Set<string>;
  /** Of the backend that made it. */
  readonly owner: Buffers;
}

export class Buffers {
  readonly #device: Device;
  readonly #uniforms: Handle;
  readonly #live = new Set<WgpuBuffer>();
  readonly #groups = new Map<string, Handle>();
  #bytes = 0;
  #ids = 0;

  /** @param uniforms the buffer that every kernel's binding 0 lies in. */
  constructor(device: Device, uniforms: Handle) {
    this.#device = device;
    this.#uniforms = uniforms;
  }

  allocate(type: ElementType, length: number, usage: number): WgpuBuffer {
    const bytes = Math.max(4, roundUp(length * ELEMENT_BYTES[type], 4));
    if (bytes > this.#device.limits.bufferBytes) {
      throw new DeviceError(
        `${this.#device.name}: a buffer of ${size(bytes)} is larger than the device allows (${size(this.#device.limits.bufferBytes)}): use a smaller batch`,
      );
    }
    const handle = createBuffer(
      this.#device,
      bytes,
      usage,
      `a buffer of ${size(bytes)} (${size(this.#bytes)} are held already)`,
    );
    const buffer = { type, length, handle, bytes, id: this.#ids++, groups: new Set<string>(), owner: this };
    this.#live.add(buffer);
    this.#bytes += bytes;
    return buffer;
  }

  /** Drops it; the driver keeps the memory until the work that uses it is done. */
  free(buffer: WgpuBuffer): void {
    if (!this.#live.delete(buffer)) throw new DeviceError("wgpu: a buffer was freed twice");
    this.#bytes -= buffer.bytes;
    for (const key of buffer.groups) {
      const group = this.#groups.get(key);
      if (group) this.#device.wgpu.wgpuBindGroupRelease(group);
      this.#groups.delete(key);
    }
    this.#device.wgpu.wgpuBufferRelease(buffer.handle);
  }

  /** @throws DeviceError when it is another backend's, or was freed. */
  own(buffer: Buffer, where: string): WgpuBuffer {
    const own = buffer as WgpuBuffer;
    if (own.owner !== this) throw new DeviceError(`${where}: the buffer belongs to another backend`);
    if (!this.#live.has(own)) throw new DeviceError(`${where}: the buffer was freed`);
    return own;
  }

  /** The bind group that gives `buffers` to a kernel. They come in the same order every step, so that it is kept. */
  group(kernel: Kernel, pipeline: Pipeline, buffers: Readonly<Record<string, Buffer | BufferView>>): Handle {
    let key = kernel.name;
    for (const name in kernel.buffers) {
      const given = buffers[name];
      if (!given) throw new DeviceError(`kernel ${kernel.name}: no buffer ${name} given`);
      const buffer = "buffer" in given ? given.buffer : given;
      key += ` ${this.own(buffer, `kernel ${kernel.name}, buffer ${name}`).id}`;
      if ("buffer" in given) key += `:${given.offset}:${given.length}`;
    }
    return this.#groups.get(key) ?? this.#createGroup(key, kernel, pipeline, buffers);
  }

  #createGroup(
    key: string,
    kernel: Kernel,
    pipeline: Pipeline,
    buffers: Readonly<Record<string, Buffer | BufferView>>,
  ): Handle {
    const { wgpu, handle: device } = this.#device;
    const ranges = [{ buffer: this.#uniforms, offset: 0, size: uniformRoom(pipeline) }];
    const accesses = new Map<WgpuBuffer, string>();
    const names = Object.keys(kernel.buffers);
    for (const name of names) {
      const where = `kernel ${kernel.name}, buffer ${name}`;
      ranges.push(this.#range(where, buffers[name]!));
      const buffer = bufferOf(buffers[name]!);
      const kind = access(kernel.buffers[name]!) === "read" ? "read" : "written";
      const before = accesses.get(buffer);
      if (before && (kind === "written" || before === "written")) {
        throw new DeviceError(`${where}: the same buffer is given twice and written; WebGPU forbids it`);
      }
      accesses.set(buffer, kind);
    }
    begin();
    const group = this.#device.create(
      `kernel ${kernel.name}: binding its buffers`,
      () => wgpu.wgpuDeviceCreateBindGroup(device, bindGroupDescriptor(pipeline.bindGroupLayout, ranges)),
      wgpu.wgpuBindGroupRelease,
    );
    this.#groups.set(key, group);
    for (const name of names) bufferOf(buffers[name]!).groups.add(key);
    return group;
  }

  #range(where: string, given: Buffer | BufferView): BoundRange {
    const { handle, type, bytes } = bufferOf(given);
    const { offset: first, length } = "buffer" in given ? given : { offset: 0, length: given.length };
    const offset = first * ELEMENT_BYTES[type];
    const range = { buffer: handle, offset, size: Math.max(4, roundUp(length * ELEMENT_BYTES[type], 4)) };
    const { bindingBytes, storageAlignment } = this.#device.limits;
    if (range.size > bindingBytes) {
      throw new DeviceError(
        `${where}: ${size(range.size)} are more than ${this.#device.name} binds at once (${size(bindingBytes)}): use a smaller batch`,
      );
    }
    if (offset % storageAlignment !== 0 || offset + range.size > bytes) {
      throw new DeviceError(
        `${where}: a view of bytes ${offset} to ${offset + range.size} of ${bytes}: must lie inside and start at a multiple of ${storageAlignment}`,
      );
    }
    return range;
  }

  statistics(): { buffers: number; bytes: number } {
    return { buffers: this.#live.size, bytes: this.#bytes };
  }

  close(): void {
    for (const buffer of this.#live) this.free(buffer);
  }
}

/** How many bytes of the uniform buffer a kernel's binding 0 spans. */
export function uniformRoom(pipeline: Pipeline): number {
  return Math.max(16, roundUp(pipeline.uniformBytes, 16));
}

export function createBuffer(device: Device, bytes: number, usage: number, what: string): Handle {
  begin();
  return device.create(
    what,
    () => device.wgpu.wgpuDeviceCreateBuffer(device.handle, bufferDescriptor(bytes, usage)),
    device.wgpu.wgpuBufferRelease,
  );
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** Bytes for people. */
export function size(bytes: number): string {
  return bytes < 2 ** 20
    ? `${bytes} bytes`
    : bytes < 2 ** 30
      ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
      : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

function bufferOf(given: Buffer | BufferView): WgpuBuffer {
  return ("buffer" in given ? given.buffer : given) as WgpuBuffer;
}
