/**
 * Allocates ranges of one shared WebAssembly memory. Bookkeeping is on the main thread, outside the memory itself: a
 * list of free ranges sorted by address, first fit, with neighbours merged when freed.
 */
import { DeviceError, DeviceMemoryError } from "../../errors.ts";

const PAGE = 65536;
/** WebAssembly's limit for 32-bit memories: 4 GiB. */
export const MAX_PAGES = 65536;
/** Growing takes time, and what isn't written to yet takes no memory: 64 MiB at a time. */
const GROWTH_PAGES = 1024;
/** A cache line, so that no two workers write to the same one. */
const ALIGNMENT = 64;

interface Range {
  start: number;
  end: number;
}

export class Heap {
  readonly memory: WebAssembly.Memory;
  /** Sorted by address, never adjacent. */
  readonly #free: Range[];
  readonly #sizes = new Map<number, number>();

  /** @param reserved bytes at the start that are never allocated */
  constructor(memory: WebAssembly.Memory, reserved: number) {
    this.memory = memory;
    this.#free = [{ start: reserved, end: memory.buffer.byteLength }];
  }

  /** @returns an address, a multiple of ALIGNMENT. @throws DeviceMemoryError when the memory is full */
  allocate(bytes: number): number {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    let range = this.#free.find(({ start, end }) => end - start >= size);
    if (!range) range = this.#grow(size);
    const address = range.start;
    range.start += size;
    if (range.start === range.end) this.#free.splice(this.#free.indexOf(range), 1);
    this.#sizes.set(address, size);
    return address;
  }

  free(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) throw new DeviceError(`cpu: memory at ${address} was freed twice, or never allocated`);
    this.#sizes.delete(address);
    this.#add(address, address + size);
  }

  #add(start: number, end: number): Range {
    const free = this.#free;
    let at = free.findIndex((range) => range.start >= end);
    if (at < 0) at = free.length;
    const [before, after] = [free[at - 1], free[at]];
    if (before?.end === start) {
      before.end = end;
      if (after?.start === end) {
        before.end = after.end;
        free.splice(at, 1);
      }
      return before;
    }
    if (after?.start === end) {
      after.start = start;
      return after;
    }
    const range = { start, end };
    free.splice(at, 0, range);
    return range;
  }

  /** Grows the memory until its last free range holds `size` bytes, and further if there is room. */
  #grow(size: number): Range {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const missing = size - (last?.end === end ? end - last.start : 0);
    const needed = Math.ceil(missing / PAGE);
    let failure: unknown;
    for (const pages of [Math.max(needed, GROWTH_PAGES), needed]) {
      try {
        this.memory.grow(pages);
        return this.#add(end, end + pages * PAGE);
      } catch (error) {
        failure = error;
      }
    }
    throw new DeviceMemoryError(
      `cpu: no memory for ${size} more bytes: ${end} are already allocated, and the limit is ${MAX_PAGES * PAGE} ` +
        `or what the machine has; use a smaller batch`,
      { cause: failure },
    );
  }
}
