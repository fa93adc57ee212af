/**
 * Batches of decoded images, in an order that only seed and epoch decide, made while the device works on those before:
 * several images are decoded at once on libuv's threads, and a few batches are kept ahead. The main thread only copies
 * records.
 */
import { availableParallelism } from "node:os";
import { DataError, ShapeError } from "../errors.ts";
import { Purpose, Random } from "../random.ts";
import { RecordCache } from "./cache.ts";
import type { Dataset } from "./dataset.ts";
import { BadImage, decodeRecord } from "./decode.ts";

export { RecordCache } from "./cache.ts";

export interface LoaderOptions {
  /** Images a batch. */
  readonly batch: number;
  /** Side of the records in pixels. */
  readonly recordSize: number;
  /** Training: the images of an epoch in random order. Without it they come in their own order. */
  readonly shuffle?: { readonly seed: number; readonly epoch: number };
  /** Only these images, instead of all. */
  readonly samples?: Uint32Array;
  /** The batch to start with, where an epoch was broken off. */
  readonly from?: number;
  /** How many batches are made ahead. */
  readonly prefetch?: number;
  /** How many images are decoded at once. */
  readonly inFlight?: number;
  /** Records kept from epoch to epoch. Without it every image is decoded. */
  readonly cache?: RecordCache;
  /** Told of each image that can't be used, once. */
  readonly onBad?: (name: string, reason: string) => void;
}

/** Its arrays are used again: they hold until the next batch is asked for. */
export interface Batch {
  /** N × S × S × 3 bytes, interleaved RGB. */
  readonly pixels: Uint8Array;
  /** N class numbers. */
  readonly labels: Uint32Array;
  /** N numbers of images in the data set. */
  readonly indices: Uint32Array;
  /** How many of the N count. The rest of the last batch repeats some of them. */
  readonly valid: number;
  /** The number of this batch in the epoch, and the position of its first image. */
  readonly number: number;
  readonly position: number;
  /** How long it had to be waited for. */
  readonly waitedMs: number;
}

export interface Loader extends AsyncIterable<Batch> {
  /** Batches in a whole epoch. */
  readonly batches: number;
  /** "name: what is wrong" of each image that could not be used so far. */
  readonly bad: readonly string[];
}

/** With fewer bad images than this nothing is said, however small the set. */
const TOLERATED_BAD = 10;
const TOLERATED_BAD_SHARE = 0.05;

/**
 * One epoch of a data set.
 *
 * An image that can't be used is counted and named. In a shuffled epoch the next good one of the order takes its
 * place, so that batches stay full and the same; in an ordered one (evaluation) it is left out, since no image may
 * count twice: `valid` is then smaller.
 * @throws ShapeError for a cache of other records
 * @throws DataError while iterating, when too many images can't be used
 */
export function createLoader(dataset: Dataset, options: LoaderOptions): Loader {
  const { batch, recordSize, shuffle, from = 0, prefetch = 3, onBad } = options;
  const { samples = Uint32Array.from({ length: dataset.length }, (_, i) => i) } = options;
  const recordBytes = recordSize * recordSize * 3;
  const cache = options.cache ?? new RecordCache(dataset, recordSize, 0);
  if (cache.recordBytes !== recordBytes) {
    throw new ShapeError(
      `loader: the cache has records of ${cache.recordBytes} bytes, ${recordSize} × ${recordSize} images need ${recordBytes}`,
    );
  }
  const order = shuffle
    ? new Random(shuffle.seed, Purpose.shuffle, shuffle.epoch).permutation(samples.length).map((k) => samples[k]!)
    : samples;
  const batches = Math.ceil(order.length / batch);
  const decoding = new Slots(options.inFlight ?? Math.max(8, 4 * availableParallelism()));
  let stopped = false;

  /** Puts the record of image i at `target`, or says that it can't be had. */
  async function load(i: number, target: Uint8Array): Promise<boolean> {
    if (cache.bad.has(i)) return false;
    if (cache.copy(i, target)) return true;
    await decoding.take();
    try {
      if (stopped) return false;
      await decodeRecord(await dataset.read(i), recordSize, target);
      cache.keep(i, target);
      return true;
    } catch (error) {
      if (!isBad(error)) throw error;
      reject(i, error.message);
      return false;
    } finally {
      decoding.give();
    }
  }

  function reject(i: number, reason: string): void {
    // Two batches may have met it at the same time.
    if (cache.bad.has(i)) return;
    cache.bad.set(i, reason);
    onBad?.(dataset.nameOf(i), reason);
    if (cache.bad.size <= Math.max(TOLERATED_BAD, TOLERATED_BAD_SHARE * dataset.length)) return;
    throw tooManyBad(dataset, cache);
  }

  /** Fills row n with the image at a position of the order, or the next good one. */
  async function fillRow(slot: Slot, n: number, position: number): Promise<void> {
    const target = slot.pixels.subarray(n * recordBytes, (n + 1) * recordBytes);
    for (let step = 0; step < (shuffle ? order.length : 1) && !stopped; step++) {
      const i = order[(position + step) % order.length]!;
      if (!(await load(i, target))) continue;
      slot.labels[n] = dataset.label(i);
      slot.indices[n] = i;
      slot.good[n] = 1;
      return;
    }
    if (shuffle && !stopped) throw tooManyBad(dataset, cache);
  }

  async function fill(slot: Slot, number: number): Promise<Slot> {
    const rows = Math.min(batch, order.length - number * batch);
    slot.good.fill(0);
    await Promise.all(Array.from({ length: rows }, (_, n) => fillRow(slot, n, number * batch + n)));
    slot.valid = closeUp(slot, recordBytes);
    return slot;
  }

  return {
    batches,
    get bad() {
      return [...cache.bad].map(([i, reason]) => `${dataset.nameOf(i)}: ${reason}`);
    },
    async *[Symbol.asyncIterator]() {
      stopped = false;
      const idle = Array.from({ length: Math.min(prefetch, batches - from) }, () => newSlot(batch, recordBytes));
      const ahead: Promise<Slot>[] = [];
      let next = from;
      const startFilling = () => {
        while (idle.length > 0 && next < batches) {
          const filling = fill(idle.pop()!, next++);
          // It fails when its turn comes, below; until then nobody listens.
          filling.catch(() => {});
          ahead.push(filling);
        }
      };
      try {
        for (let number = from; number < batches; number++) {
          startFilling();
          const start = performance.now();
          const slot = await ahead.shift()!;
          const { pixels, labels, indices, valid } = slot;
          const waitedMs = performance.now() - start;
          if (valid > 0) yield { pixels, labels, indices, valid, number, position: number * batch, waitedMs };
          idle.push(slot);
        }
      } finally {
        stopped = true;
      }
    },
  };
}

/** The memory of a batch. */
interface Slot {
  readonly pixels: Uint8Array;
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
  /** Which rows hold an image. */
  readonly good: Uint8Array;
  valid: number;
}

function newSlot(batch: number, recordBytes: number): Slot {
  return {
    pixels: new Uint8Array(batch * recordBytes),
    labels: new Uint32Array(batch),
    indices: new Uint32Array(batch),
    good: new Uint8Array(batch),
    valid: 0,
  };
}

/** Moves the rows that hold an image to the front, fills up with copies of them, and says how many there are. */
function closeUp({ pixels, labels, indices, good }: Slot, recordBytes: number): number {
  const copyRow = (from: number, to: number) => {
    if (from === to) return;
    pixels.copyWithin(to * recordBytes, from * recordBytes, (from + 1) * recordBytes);
    labels[to] = labels[from]!;
    indices[to] = indices[from]!;
  };
  let valid = 0;
  for (let n = 0; n < good.length; n++) if (good[n]) copyRow(n, valid++);
  for (let n = valid; valid > 0 && n < good.length; n++) copyRow(n % valid, n);
  return valid;
}

/** Errors of the image or of its file, not of this program. */
function isBad(error: unknown): error is Error {
  return error instanceof BadImage || error instanceof DataError || (error instanceof Error && "syscall" in error);
}

function tooManyBad(dataset: Dataset, { bad }: RecordCache): DataError {
  const [first] = bad;
  const example = first ? `, first ${dataset.nameOf(first[0])}: ${first[1]}` : "";
  return new DataError(
    `${bad.size} of the ${dataset.length} images of ${dataset.name} can't be used${example}: ` +
      `repair or remove them (at most ${100 * TOLERATED_BAD_SHARE}% are passed over)`,
  );
}

/** So many at once; the others wait in line. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}
