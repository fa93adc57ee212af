/** Statistics measured once over a training set: the mean image (paper §2) and principal colour axes (§4.1). */
import { DataError } from "../errors.ts";
import type { ResizeFilter } from "../net/recipe.ts";
import { Purpose, Random } from "../random.ts";
import { loadKernels } from "../wasm/build.ts";
import { instantiate, type WasmKernels } from "../wasm/wasm.ts";
import { plural } from "../words.ts";
import type { ColourAxes, Dataset, Statistics } from "./dataset.ts";
import { createLoader, type RecordCache } from "./loader.ts";

/** More images don't improve the means; larger sets are sampled. */
const MAX_SAMPLE = 50_000;

export interface MeasureOptions {
  readonly recordSize: number;
  /** As for `createLoader`. */
  readonly resize?: ResizeFilter | undefined;
  readonly seed?: number;
  /** Keeps the decoded records for the subsequent training. */
  readonly cache?: RecordCache;
  readonly sample?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** @throws DataError when no image, or too few, can be decoded */
export async function measureStatistics(dataset: Dataset, options: MeasureOptions): Promise<Statistics> {
  const { recordSize, resize, seed = 0, cache, sample = MAX_SAMPLE, onProgress } = options;
  const count = Math.min(dataset.length, sample);
  const order = new Random(seed, Purpose.split, dataset.classes.length).permutation(dataset.length);
  const subset = count < dataset.length ? order.subarray(0, count).sort() : undefined;
  const sums = await RecordSums.open(recordSize);
  const total = new TotalSums(recordSize);
  const loader = createLoader(dataset, {
    batch: Math.min(64, count),
    recordSize,
    resize,
    ...(subset && { samples: subset }),
    ...(cache && { cache }),
  });
  const bytes = recordSize * recordSize * 3;
  let images = 0;
  for await (const { pixels, valid } of loader) {
    for (let n = 0; n < valid; n++) sums.add(pixels.subarray(n * bytes, (n + 1) * bytes));
    images += valid;
    onProgress?.(images, count);
  }
  if (images === 0) throw new DataError(`${dataset.name}: none of its ${plural(dataset.length, "image")} can be used`);
  total.add(sums.take());
  return total.statistics();
}

/** Exact integer sums over records, independent of order and of the number of threads. */
export interface Sums {
  readonly images: number;
  /** The sum at every position of a record, S × S × 3. 32 bits suffice for 16 million images. */
  readonly places: Uint32Array;
  /** Over all pixels: rr, gg, bb, rg, gb, br. */
  readonly products: readonly bigint[];
}

/** Memory for the kernels' own use. */
const RESERVED = 65_536;

/** Sums records on one thread; `TotalSums` adds up the threads' sums. */
export class RecordSums {
  readonly #wasm: WasmKernels;
  readonly #record: Uint8Array;
  readonly #places: Uint32Array;
  readonly #products: BigUint64Array;
  #images = 0;

  /** @throws DeviceError when the kernels can't be loaded */
  static async open(side: number): Promise<RecordSums> {
    return new RecordSums(await loadKernels(), side);
  }

  private constructor(module: WebAssembly.Module, side: number) {
    const values = side * side * 3;
    const [sums, record] = [RESERVED + 64, RESERVED + 64 + 4 * values];
    const pages = Math.ceil((record + values + 16) / 65_536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: true });
    this.#wasm = instantiate(module, memory);
    this.#products = new BigUint64Array(memory.buffer, RESERVED, 6);
    this.#places = new Uint32Array(memory.buffer, sums, values);
    this.#record = new Uint8Array(memory.buffer, record, values);
  }

  add(record: Uint8Array): void {
    this.#record.set(record);
    const { byteOffset, length } = this.#record;
    this.#wasm.addRecord(byteOffset, length / 3, this.#places.byteOffset, this.#products.byteOffset);
    this.#images++;
  }

  /** The sums since the last call. */
  take(): Sums {
    const sums = { images: this.#images, places: this.#places.slice(), products: [...this.#products] };
    this.#images = 0;
    this.#places.fill(0);
    this.#products.fill(0n);
    return sums;
  }
}

/** The total of several sums, beyond 32 bits. */
export class TotalSums {
  readonly #places: Float64Array;
  readonly #products = new Array<bigint>(6).fill(0n);
  #images = 0;

  constructor(side: number) {
    this.#places = new Float64Array(side * side * 3);
  }

  add({ images, places, products }: Sums): void {
    for (let i = 0; i < places.length; i++) this.#places[i]! += places[i]!;
    products.forEach((value, k) => (this.#products[k]! += value));
    this.#images += images;
  }

  statistics(): Statistics {
    return summarise(this.#places, this.#products.map(Number), this.#images);
  }
}

function summarise(places: Float64Array, products: readonly number[], images: number): Statistics {
  const channelMean = [0, 0, 0];
  for (let i = 0; i < places.length; i++) channelMean[i % 3]! += places[i]!;
  const pixels = (images * places.length) / 3;
  for (let c = 0; c < 3; c++) channelMean[c]! /= pixels;
  const [rr, gg, bb, rg, gb, br] = products as Six;
  const covariance = [rr, rg, br, rg, gg, gb, br, gb, bb].map(
    (product, k) => product / pixels - channelMean[Math.floor(k / 3)]! * channelMean[k % 3]!,
  );
  return {
    mean: Float32Array.from(places, (sum) => sum / images),
    channelMean,
    covariance,
    axes: principalAxes(covariance),
    images,
  };
}

type Six = [number, number, number, number, number, number];

/** Eigenvalues and eigenvectors of a symmetric matrix, in rows, by Jacobi rotations; largest first. */
export function principalAxes(matrix: readonly number[]): ColourAxes {
  const size = Math.sqrt(matrix.length);
  const indices = Array.from({ length: size }, (_, i) => i);
  const a = indices.map((i) => matrix.slice(i * size, (i + 1) * size));
  const v = indices.map((i) => indices.map((j) => (i === j ? 1 : 0)));
  const pairs = indices.flatMap((p) => indices.slice(p + 1).map((q) => [p, q] as const));
  // Convergence is quadratic: after ten sweeps the off-diagonal is zero.
  for (let sweep = 0; sweep < 10; sweep++) {
    for (const [p, q] of pairs) {
      if (a[p]![q] === 0) continue;
      const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
      const c = 1 / Math.sqrt(t * t + 1);
      const s = t * c;
      for (const row of [...a, ...v]) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
      for (let k = 0; k < size; k++)
        [a[p]![k], a[q]![k]] = [c * a[p]![k]! - s * a[q]![k]!, s * a[p]![k]! + c * a[q]![k]!];
    }
  }
  const order = indices.sort((i, j) => a[j]![j]! - a[i]![i]!);
  return {
    // Rounding may leave a tiny negative value where there is no variance.
    values: order.map((k) => Math.max(0, a[k]![k]!)),
    vectors: order.map((k) => v.map((row) => row[k]!)),
  };
}
