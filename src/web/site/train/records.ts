/** The built-in set in memory: drawn once, so that an epoch only copies. */
import type { Dataset } from "../../../data/dataset.ts";
import { TotalSums, type Sums } from "../../../data/moments.ts";
import { DataError } from "../../../errors.ts";

/** All images of a set, one after the other. */
export interface Records {
  readonly dataset: Dataset;
  /** Side in pixels. */
  readonly side: number;
  /** Images × side × side × 3 bytes. */
  readonly pixels: Uint8Array;
}

/** How many are drawn before others get a turn. */
const TURN = 100;

/**
 * Reads a set of pixels.
 * @param drawn called with the number of images read, every `TURN` images; it is awaited
 * @throws DataError for images that aren't side × side pixels
 */
export async function readAll(
  dataset: Dataset,
  side: number,
  drawn = async (_done: number): Promise<void> => {},
): Promise<Records> {
  const bytes = side * side * 3;
  const pixels = new Uint8Array(dataset.length * bytes);
  for (let i = 0; i < dataset.length; i++) {
    const image = await dataset.read(i);
    if (image.kind !== "pixels" || image.width !== side || image.height !== side) {
      throw new DataError(`${dataset.nameOf(i)} is not an image of ${side} × ${side} pixels`);
    }
    pixels.set(image.pixels, i * bytes);
    if ((i + 1) % TURN === 0) await drawn(i + 1);
  }
  return { dataset, side, pixels };
}

/** The mean image, as `measureStatistics` finds it: from whole sums, so that no order of the images matters. */
export function meanImage({ dataset, side, pixels }: Records): Float32Array {
  const bytes = side * side * 3;
  const places = new Uint32Array(bytes);
  for (let from = 0; from < pixels.length; from += bytes) {
    for (let i = 0; i < bytes; i++) places[i]! += pixels[from + i]!;
  }
  const total = new TotalSums(side);
  total.add({ images: dataset.length, places, products: new Array<bigint>(6).fill(0n) } satisfies Sums);
  return total.statistics().mean;
}

/** A batch of some of the images. The arrays are reused: they are valid until the next one is taken. */
export class Batches {
  readonly #records: Records;
  readonly pixels: Uint8Array;
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;

  constructor(records: Records, images: number) {
    this.#records = records;
    this.pixels = new Uint8Array(images * records.side * records.side * 3);
    this.labels = new Uint32Array(images);
    this.indices = new Uint32Array(images);
  }

  /**
   * Copies the images of `order` from `first` on; where it ends before the batch is full, they are repeated.
   * @returns how many of them count
   */
  take(order: Uint32Array, first: number): number {
    const { dataset, side, pixels } = this.#records;
    const bytes = side * side * 3;
    const valid = Math.min(this.labels.length, order.length - first);
    for (let n = 0; n < this.labels.length; n++) {
      const i = order[first + (n % valid)]!;
      this.indices[n] = i;
      this.labels[n] = dataset.label(i);
      this.pixels.set(pixels.subarray(i * bytes, (i + 1) * bytes), n * bytes);
    }
    return valid;
  }
}
