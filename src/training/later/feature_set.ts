/** What the last layer of a network sees of a set's images, computed once. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../io/temporary.ts";

/** Larger sets are kept in a file. */
const MEMORY_BYTES = 2 ** 30;

/** Rows of float32, in memory or in a temporary file, with the image and class of each. */
export class FeatureSet implements Disposable {
  /** Numbers in a row. */
  readonly size: number;
  /** By row: the image's index in its set, and its class. */
  readonly images: Uint32Array;
  readonly labels: Uint32Array;
  readonly #values: Float32Array | undefined;
  readonly #file: { readonly folder: Disposable; readonly descriptor: number } | undefined;
  #length = 0;

  /**
   * @param capacity the most rows that will be added
   * @param parent the folder for the file
   */
  constructor(size: number, capacity: number, parent: string, memoryBytes = MEMORY_BYTES) {
    this.size = size;
    this.images = new Uint32Array(capacity);
    this.labels = new Uint32Array(capacity);
    if (4 * size * capacity <= memoryBytes) {
      this.#values = new Float32Array(size * capacity);
    } else {
      const folder = temporaryFolder("features-", parent);
      this.#file = { folder, descriptor: openSync(join(folder.path, "rows"), "w+") };
    }
  }

  /** Number of rows. */
  get length(): number {
    return this.#length;
  }

  /** Adds a row for each of the images. @throws the system's error when the file can't be written */
  add(rows: Float32Array, images: Uint32Array, labels: Uint32Array): void {
    this.images.set(images, this.#length);
    this.labels.set(labels, this.#length);
    const at = this.#length * this.size;
    if (this.#values) this.#values.set(rows, at);
    else writeSync(this.#file!.descriptor, rows, 0, rows.byteLength, 4 * at);
    this.#length += images.length;
  }

  /** Copies rows into `to`, one after the other. */
  read(rows: Uint32Array, to: Float32Array): void {
    const { size } = this;
    for (const [n, row] of rows.entries()) {
      if (this.#values) to.set(this.#values.subarray(row * size, (row + 1) * size), n * size);
      else readSync(this.#file!.descriptor, to.subarray(n * size, (n + 1) * size), 0, 4 * size, 4 * row * size);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#file) return;
    closeSync(this.#file.descriptor);
    this.#file.folder[Symbol.dispose]();
  }
}

/** 0, 1, …, `length` − 1. */
export function ascending(length: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => i);
}

const BATCH = 256;

/** Rows in batches of at most 256. */
export function* inBatches(rows: Uint32Array): Generator<Uint32Array> {
  for (let first = 0; first < rows.length; first += BATCH) yield rows.subarray(first, first + BATCH);
}
