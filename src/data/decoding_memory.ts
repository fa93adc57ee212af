/**
 * The memory in which all threads of a process decode together. A photo takes little of it; of images that are large, or
 * say that they are, only as many are decoded at once as it has room for.
 */

const UNIT_BYTES = 2 ** 20;
const TOTAL_BYTES = 2 ** 31;
/** Images that take less are not counted. */
const SMALL_BYTES = 2 ** 24;
/** RGB, and while it is decoded a progressive JPEG's coefficients, of two bytes each; of PNG and WebP, samples of up to 8. */
const BYTES_A_PIXEL = 11;

export class DecodingMemory {
  /** To be handed to the other threads. */
  readonly shared: SharedArrayBuffer;
  /** One number: how many units are left. */
  readonly #left: Int32Array;

  /** @param shared another thread's; new if not given */
  constructor(shared?: SharedArrayBuffer, totalBytes = TOTAL_BYTES) {
    this.shared = shared ?? new SharedArrayBuffer(4);
    this.#left = new Int32Array(this.shared);
    if (!shared) this.#left[0] = totalBytes / UNIT_BYTES;
  }

  /** Decodes an image of so many pixels when there is room for it. It blocks until then. */
  use<T>(pixels: number, decode: () => T): T {
    const bytes = pixels * BYTES_A_PIXEL;
    if (bytes < SMALL_BYTES) return decode();
    const units = Math.ceil(bytes / UNIT_BYTES);
    this.#take(units);
    try {
      return decode();
    } finally {
      Atomics.add(this.#left, 0, units);
      Atomics.notify(this.#left, 0);
    }
  }

  #take(units: number): void {
    for (;;) {
      const left = Atomics.load(this.#left, 0);
      if (left < units) Atomics.wait(this.#left, 0, left);
      else if (Atomics.compareExchange(this.#left, 0, left, left - units) === left) return;
    }
  }
}
