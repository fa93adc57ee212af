/** Buffers on a GPU, and the bind groups by which kernels get them. */
import { ELEMENT_BYTES, type Buffer, type BufferView } from "../../engine/backend.ts";
import { access, type ElementType } from "../../engine/kernel.ts";
import { DeviceError, DeviceMemoryError } from "../../errors.ts";
import type { Limits } from "./description.ts";
import type { Handles } from "./handles.ts";
import type { Program } from "./pipelines.ts";

export interface GpuBuffer<H extends Handles> extends Buffer {
  readonly handle: H["buffer"];
  /** Rounded up to a multiple of 4, the unit of WebGPU's copies. */
  readonly bytes: number;
  /** Identifies the buffer in the keys of bind groups; addresses may be reused. */
  readonly id: number;
  readonly groups: Set<Group<H>>;
  /** Those of the backend that made it. */
  readonly owner: KernelBuffers<H>;
}

/** A bind group: the buffers that a kernel is run with. */
interface Group<H extends Handles> {
  readonly handle: H["group"];
  /** The program's groups, by the ids of their buffers; this one is under `key`. */
  readonly siblings: Map<string, Group<H>>;
  readonly key: string;
  readonly buffers: readonly GpuBuffer<H>[];
}

/** A range of a buffer, in bytes. */
export interface BufferRange<H extends Handles> {
  readonly handle: H["buffer"];
  readonly offset: number;
  readonly bytes: number;
}

export interface BoundRange<H extends Handles> {
  readonly buffer: H["buffer"];
  /** In bytes. */
  readonly offset: number;
  readonly size: number;
}

export abstract class KernelBuffers<H extends Handles> {
  readonly #device: { readonly name: string; readonly limits: Limits };
  readonly #uniforms: H["buffer"];
  readonly #live = new Set<GpuBuffer<H>>();
  readonly #groups = new WeakMap<Program<H>, Map<string, Group<H>>>();
  #bytes = 0;
  #ids = 0;

  /** @param uniforms the buffer that holds every kernel's binding 0 */
  constructor(device: { readonly name: string; readonly limits: Limits }, uniforms: H["buffer"]) {
    this.#device = device;
    this.#uniforms = uniforms;
  }

  /** @param what it is, for errors */
  protected abstract createBuffer(bytes: number, what: string): H["buffer"];
  protected abstract releaseBuffer(handle: H["buffer"]): void;
  /** Binding i is ranges[i]. */
  protected abstract createGroup(what: string, layout: H["layout"], ranges: readonly BoundRange<H>[]): H["group"];
  protected abstract releaseGroup(handle: H["group"]): void;

  allocate(type: ElementType, length: number): GpuBuffer<H> {
    const bytes = Math.max(4, roundUp(length * ELEMENT_BYTES[type], 4));
    if (bytes > this.#device.limits.bufferBytes) {
      throw new DeviceMemoryError(
        `${this.#device.name}: a buffer of ${size(bytes)} is larger than the device allows (${size(this.#device.limits.bufferBytes)}): use a smaller batch`,
      );
    }
    const handle = this.createBuffer(bytes, `a buffer of ${size(bytes)} (${size(this.#bytes)} are already allocated)`);
    const buffer = { type, length, handle, bytes, id: this.#ids++, groups: new Set<Group<H>>(), owner: this };
    this.#live.add(buffer);
    this.#bytes += bytes;
    return buffer;
  }

  /** Frees it; the driver keeps the memory until work that uses it is done. */
  free(buffer: GpuBuffer<H>): void {
    if (!this.#live.delete(buffer)) throw new DeviceError(`${this.#device.name}: a buffer was freed twice`);
    this.#bytes -= buffer.bytes;
    for (const group of buffer.groups) {
      this.releaseGroup(group.handle);
      group.siblings.delete(group.key);
      for (const other of group.buffers) other.groups.delete(group);
    }
    this.releaseBuffer(buffer.handle);
  }

  /** @throws DeviceError when it belongs to another backend, or was freed */
  own(buffer: Buffer, where: string): GpuBuffer<H> {
    const own = buffer as GpuBuffer<H>;
    if (own.owner !== this) throw new DeviceError(`${where}: the buffer belongs to another backend`);
    if (!this.#live.has(own)) throw new DeviceError(`${where}: the buffer was freed`);
    return own;
  }

  /** The bind group of `buffers` for a kernel. Groups are kept, since the same buffers come in every step. */
  group(program: Program<H>, buffers: Readonly<Record<string, Buffer | BufferView>>): H["group"] {
    let key = "";
    for (const name of program.buffers) {
      const given = buffers[name];
      if (!given) throw new DeviceError(`kernel ${program.kernel.name}: buffer ${name} is missing`);
      const buffer = this.#bufferOf(given);
      if (buffer.owner !== this || !this.#live.has(buffer)) this.own(buffer, place(program, name));
      key += "buffer" in given ? `${buffer.id}:${given.offset}:${given.length} ` : `${buffer.id} `;
    }
    return (this.#groups.get(program)?.get(key) ?? this.#addGroup(key, program, buffers)).handle;
  }

  #addGroup(key: string, program: Program<H>, buffers: Readonly<Record<string, Buffer | BufferView>>): Group<H> {
    const { kernel, layout, uniformBytes } = program;
    const ranges: BoundRange<H>[] = [{ buffer: this.#uniforms, offset: 0, size: uniformBytes }];
    const accesses = new Map<GpuBuffer<H>, string>();
    for (const name of program.buffers) {
      const where = place(program, name);
      ranges.push(this.#range(where, buffers[name]!));
      const buffer = this.#bufferOf(buffers[name]!);
      const kind = access(kernel.buffers[name]!) === "read" ? "read" : "written";
      const before = accesses.get(buffer);
      if (before && (kind === "written" || before === "written")) {
        throw new DeviceError(`${where}: the same buffer is passed twice and written, which WebGPU forbids`);
      }
      accesses.set(buffer, kind);
    }
    const handle = this.createGroup(`kernel ${kernel.name}: binding its buffers`, layout.handle, ranges);
    const siblings = this.#groups.get(program) ?? new Map<string, Group<H>>();
    this.#groups.set(program, siblings);
    const group = { handle, siblings, key, buffers: [...accesses.keys()] };
    siblings.set(key, group);
    for (const buffer of group.buffers) buffer.groups.add(group);
    return group;
  }

  #range(where: string, given: Buffer | BufferView): BoundRange<H> {
    const { handle, type, bytes } = this.#bufferOf(given);
    const { offset: first, length } = "buffer" in given ? given : { offset: 0, length: given.length };
    const offset = first * ELEMENT_BYTES[type];
    const range = { buffer: handle, offset, size: Math.max(4, roundUp(length * ELEMENT_BYTES[type], 4)) };
    const { bindingBytes, storageAlignment } = this.#device.limits;
    if (range.size > bindingBytes) {
      throw new DeviceError(
        `${where}: ${size(range.size)}, but ${this.#device.name} binds at most ${size(bindingBytes)}: use a smaller batch`,
      );
    }
    if (offset % storageAlignment !== 0 || offset + range.size > bytes) {
      throw new DeviceError(
        `${where}: a view of bytes ${offset} to ${offset + range.size} of ${bytes}: must lie inside and start at a multiple of ${storageAlignment}`,
      );
    }
    return range;
  }

  #bufferOf(given: Buffer | BufferView): GpuBuffer<H> {
    return ("buffer" in given ? given.buffer : given) as GpuBuffer<H>;
  }

  statistics(): { buffers: number; bytes: number } {
    return { buffers: this.#live.size, bytes: this.#bytes };
  }

  close(): void {
    for (const buffer of this.#live) this.free(buffer);
  }
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** A readable number of bytes. */
export function size(bytes: number): string {
  return bytes < 2 ** 20
    ? `${bytes} bytes`
    : bytes < 2 ** 30
      ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
      : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** A kernel's buffer, for error messages. */
function place<H extends Handles>(program: Program<H>, buffer: string): string {
  return `kernel ${program.kernel.name}, buffer ${buffer}`;
}
