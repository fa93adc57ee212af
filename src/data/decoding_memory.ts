/**
 * A memory budget shared by all decoding threads of a process. Ordinary photos are not counted; images that are large, or
 * claim to be, are decoded only as many at once as fit.
 */

const UNIT_BYTES = 2 ** 20;
const TOTAL_BYTES = 2 ** 31;
/** Images that need less are not counted. */
const SMALL_BYTES = 2 ** 24;
/** 3 for RGB, plus up to 8 while decoding: a progressive JPEG's two-byte coefficients, or PNG's and WebP's samples. */
const BYTES_A_PIXEL = 11;

export class DecodingMemory {
  /** To pass to other threads. */
  readonly shared: SharedArrayBuffer;
  /** One number: the units left. */
  readonly #left: Int32Array;

  /** @param shared another thread's; by default a new one */
  constructor(shared?: SharedArrayBuffer, totalBytes = TOTAL_BYTES) {
    this.shared = shared ?? new SharedArrayBuffer(4);
    this.#left = new Int32Array(this.shared);
    if (!shared) this.#left[0] = totalBytes / UNIT_BYTES;
  }

  /** Runs `decode` for an image of `pixels` pixels, blocking until the budget has room for it. */
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
