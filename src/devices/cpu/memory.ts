/** Buffers in a WebAssembly memory. */
import { ARRAYS, ELEMENT_BYTES, type Buffer, type BufferView, type HostArray } from "../../engine/backend.ts";
import type { ElementType } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";

interface HeapBuffer extends Buffer {
  /** Byte offset in the memory. */
  readonly address: number;
}

/** Space for the tables that the compiler puts at the start of the memory. */
export const STATIC_BYTES = 65_536;

export class HeapBuffers {
  readonly #memory: WebAssembly.Memory;
  readonly #live = new Set<Buffer>();

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  add(type: ElementType, length: number, address: number): Buffer {
    const buffer: HeapBuffer = { type, length, address };
    this.#live.add(buffer);
    return buffer;
  }

  /** @returns its address; undefined if it is not there, or no longer */
  remove(buffer: Buffer): number | undefined {
    return this.#live.delete(buffer) ? (buffer as HeapBuffer).address : undefined;
  }

  /** @throws DeviceError for a view that reaches into another buffer's memory */
  addressOf({ buffer, offset, length }: BufferView): number {
    if (!this.#live.has(buffer))
      throw new DeviceError(`cpu: a buffer of ${buffer.length} elements was used after it was freed`);
    if (offset < 0 || offset + length > buffer.length) {
      throw new DeviceError(
        `cpu: elements ${offset} to ${offset + length} are outside of a buffer of ${buffer.length}`,
      );
    }
    return (buffer as HeapBuffer).address + offset * ELEMENT_BYTES[buffer.type];
  }

  /** An array over the memory at its current size. */
  elements(type: ElementType, address: number, length: number): HostArray {
    return new ARRAYS[type](this.#memory.buffer, address, length);
  }

  statistics(): { buffers: number; bytes: number } {
    return {
      buffers: this.#live.size,
      bytes: [...this.#live].reduce((sum, buffer) => sum + buffer.length * ELEMENT_BYTES[buffer.type], 0),
    };
  }

  clear(): void {
    this.#live.clear();
  }
}
