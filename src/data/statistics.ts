/** Measures the statistics of a training set, once. */
import { DataError } from "../errors.ts";
import type { ResizeFilter } from "../net/recipe.ts";
import { Purpose, Random } from "../random.ts";
import { loadKernels } from "../wasm/build.ts";
import { instantiate, type WasmKernels } from "../wasm/wasm.ts";
import { plural } from "../words.ts";
import type { Dataset, Statistics } from "./dataset.ts";
import { createLoader, type RecordCache } from "./loader.ts";
import { TotalSums, type Sums } from "./moments.ts";

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
