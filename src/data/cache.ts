/** An in-memory cache of decoded images, so that a set that fits is decoded only once. */
import type { Dataset } from "./dataset.ts";

const DEFAULT_CACHE_BYTES = 2 ** 30;

/**
 * As many records of a data set as fit, and the images that turned out to be bad. Shared by the loaders of all epochs.
 */
export class RecordCache {
  /** By image: why it can't be used. */
  readonly bad = new Map<number, string>();
  readonly recordBytes: number;
  readonly #slots: Int32Array;
  readonly #capacity: number;
  #records: Uint8Array | undefined;
  #used = 0;

  /** @param side of the square records, in pixels */
  constructor(dataset: Dataset, side: number, bytes = DEFAULT_CACHE_BYTES) {
    this.recordBytes = side * side * 3;
    this.#capacity = Math.min(dataset.length, Math.floor(bytes / this.recordBytes));
    this.#slots = new Int32Array(dataset.length).fill(-1);
  }

  /** Number of cached records. */
  get size(): number {
    return this.#used;
  }

  /** Whether all records of the set fit. */
  get holdsAll(): boolean {
    return this.#capacity === this.#slots.length;
  }

  /** Copies the record of image i to `target`; false if it is not cached. */
  copy(i: number, target: Uint8Array): boolean {
    const slot = this.#slots[i]!;
    if (slot < 0 || !this.#records) return false;
    target.set(this.#records.subarray(slot * this.recordBytes, (slot + 1) * this.recordBytes));
    return true;
  }

  /** Caches a record if there is room. */
  keep(i: number, record: Uint8Array): void {
    if (this.#used === this.#capacity || this.#slots[i]! >= 0) return;
    // The system allocates pages only as they are written to.
    this.#records ??= new Uint8Array(this.#capacity * this.recordBytes);
    this.#records.set(record, this.#used * this.recordBytes);
    this.#slots[i] = this.#used++;
  }
}
