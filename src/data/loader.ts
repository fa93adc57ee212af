/**
 * Loads batches of decoded images, in an order determined by seed and epoch, while the device works on earlier ones.
 * Worker threads read and decode straight into a batch's memory; the main thread assigns rows and copies cached records.
 * A few batches are prefetched into reused memory.
 */
import { availableParallelism } from "node:os";
import { DataError, ShapeError, UsageError } from "../errors.ts";
import { RESIZE_FILTERS, type ResizeFilter } from "../net/recipe.ts";
import { checkOptions, requireWhole, show, type OptionKinds } from "../options.ts";
import { plural } from "../words.ts";
import { RecordCache } from "./cache.ts";
import type { Dataset } from "./dataset.ts";
import type { ImageForRow } from "./decode_worker.ts";
import { decodeRows, withOwnMemory } from "./decoding.ts";
import { isTolerated, TOLERATED_BAD_SHARE } from "./image.ts";
import { epochOrder, type Shuffle } from "./sampling.ts";
import type { Share } from "./share.ts";

export { RecordCache } from "./cache.ts";

export interface LoaderOptions {
  /** Images per batch. */
  readonly batch: number;
  /** Side of the records in pixels. */
  readonly recordSize: number;
  /** The filter by which images are resized to that; bilinear by default. */
  readonly resize?: ResizeFilter | undefined;
  /** For training: the epoch's random order. Without it, images come in the set's order. */
  readonly shuffle?: Shuffle;
  /** Only these images. */
  readonly samples?: Uint32Array;
  /** Only these rows of each batch of a shuffled epoch, for one of several ranks. Rows past the last wrap around. */
  readonly share?: Share;
  /** The batch to start with, when resuming an epoch. */
  readonly from?: number;
  /** Number of batches to load ahead. */
  readonly prefetch?: number;
  /** Maximum concurrent reads, where the data set reads images itself. */
  readonly inFlight?: number;
  /** Keeps records from epoch to epoch. Without it, every image is decoded again. */
  readonly cache?: RecordCache;
  /** Called once for each image that can't be used. */
  readonly onBad?: (name: string, reason: string) => void;
}

const OPTIONS: OptionKinds<LoaderOptions> = {
  ...{
    batch: "number",
    recordSize: "number",
    resize: "any?",
    shuffle: "object?",
    samples: "any?",
    share: "object?",
    from: "number?",
  },
  ...{ prefetch: "number?", inFlight: "number?", cache: "object?", onBad: "function?" },
};

/** The arrays are reused: they are valid until the next batch is requested. */
export interface Batch {
  /** N × S × S × 3 bytes, interleaved RGB. */
  readonly pixels: Uint8Array;
  /** N class indices. */
  readonly labels: Uint32Array;
  /** N image indices in the data set. */
  readonly indices: Uint32Array;
  /** How many of the N count. The others, in the last batch, are repeats. */
  readonly valid: number;
  /** With `share`: the indices of the whole batch, and how many of them count. */
  readonly whole?: { readonly indices: Uint32Array; readonly valid: number };
  /** The batch's number in the epoch, and its first image's position in the epoch. */
  readonly number: number;
  readonly position: number;
  /** Time spent waiting for this batch. */
  readonly waitedMs: number;
}

export interface Loader extends AsyncIterable<Batch> {
  /** Batches per epoch. */
  readonly batches: number;
  /** "name: reason" for each image that could not be used so far. */
  readonly bad: readonly string[];
}

/**
 * Loads one epoch of a data set.
 *
 * An image that can't be used is counted and reported. In a shuffled epoch the next good image in the order takes its
 * place, so that batches stay full and reproducible. In an ordered one (evaluation) it is left out, since no image may
 * count twice, and `valid` is smaller.
 * @throws ShapeError for invalid numbers, samples beyond the set, or a cache of other records; UsageError for an unknown
 * or missing option
 * @throws DataError while iterating, when too many images can't be used
 */
export function createLoader(dataset: Dataset, options: LoaderOptions): Loader {
  checkOptions("createLoader", options, OPTIONS);
  const { batch, recordSize, resize = "bilinear", shuffle, share, from = 0, prefetch = 3, onBad } = options;
  const { samples = Uint32Array.from({ length: dataset.length }, (_, i) => i) } = options;
  requireWhole("createLoader", { batch, recordSize, prefetch, inFlight: options.inFlight ?? 1 });
  requireWhole("createLoader", { from }, 0);
  if (!RESIZE_FILTERS.includes(resize)) {
    throw new UsageError(`createLoader: resize is ${show(resize)}, must be ${RESIZE_FILTERS.join(" or ")}`);
  }
  checkSamples(samples, dataset);
  const recordBytes = recordSize * recordSize * 3;
  const cache = options.cache ?? new RecordCache(dataset, recordSize, 0);
  if (cache.recordBytes !== recordBytes) {
    throw new ShapeError(
      `loader: the cache has records of ${cache.recordBytes} bytes, but ${recordSize} × ${recordSize} images need ${recordBytes}`,
    );
  }
  const order = shuffle ? epochOrder(dataset, samples, shuffle) : samples;
  const batches = Math.ceil(order.length / batch);
  if (share && !shuffle) throw new ShapeError("loader: share needs shuffle: only shuffled batches can be shared");
  const reading = new Semaphore(options.inFlight ?? Math.max(8, 4 * availableParallelism()));
  // Raw pixels are copied straight from a file: the system's page cache already caches them.
  const isRaw = dataset.length > 0 && dataset.place?.(0).rawSide === recordSize;
  let stopped = false;

  const rowOf = (slot: Slot, n: number) => slot.pixels.subarray(n * recordBytes, (n + 1) * recordBytes);

  /** The image for one row, to be decoded by a worker; undefined if it needs no decoding or can't be read. */
  async function find({ slot, n, i }: Wanted): Promise<ImageForRow | undefined> {
    if (dataset.place) return { row: n, image: dataset.place(i) };
    await reading.acquire();
    try {
      if (stopped) return undefined;
      const image = await dataset.read(i);
      if (image.kind !== "pixels" || image.width !== recordSize || image.height !== recordSize)
        return { row: n, image: withOwnMemory(image) };
      const target = rowOf(slot, n);
      target.set(image.pixels);
      cache.keep(i, target);
      slot.good[n] = 1;
    } catch (error) {
      if (!isBad(error)) throw error;
      reject(i, error.message);
    } finally {
      reading.release();
    }
    return undefined;
  }

  function reject(i: number, reason: string): void {
    // Two batches may find the same bad image at the same time.
    if (cache.bad.has(i)) return;
    cache.bad.set(i, reason);
    onBad?.(dataset.nameOf(i), reason);
    if (isTolerated(cache.bad.size, dataset.length)) return;
    throw tooManyBad(dataset, cache);
  }

  /** Loads images into rows of a batch concurrently, and marks those that succeeded in `good`. */
  async function load(slot: Slot, wanted: readonly Wanted[]): Promise<void> {
    const missing = wanted.filter(({ n, i }) => {
      const isCached = cache.copy(i, rowOf(slot, n));
      if (isCached) slot.good[n] = 1;
      return !isCached;
    });
    const found = await Promise.all(missing.map(find));
    const indices = new Map(wanted.map(({ n, i }) => [n, i]));
    const decode = async (images: readonly ImageForRow[]) => {
      const reasons = await decodeRows(slot.memory, recordSize, resize, images, () => !stopped);
      reasons?.forEach((reason, k) => {
        const { row } = images[k]!;
        const i = indices.get(row)!;
        if (reason !== undefined) return reject(i, reason);
        slot.good[row] = 1;
        if (!isRaw) cache.keep(i, rowOf(slot, row));
      });
    };
    await Promise.all(chunks(found.filter((image) => image !== undefined)).map(decode));
  }

  /** How many images of a batch count. */
  const validOf = (number: number) => Math.min(batch, order.length - number * batch);
  /** The position in the epoch of row n of a batch; rows that don't count repeat those that do. */
  const positionOf = (number: number, n: number) => number * batch + ((n % batch) % validOf(number));

  async function fill(slot: Slot, number: number): Promise<Slot> {
    const rows = share?.count ?? validOf(number);
    slot.good.fill(0);
    // For each row, how many images after its position are known to be bad.
    const tried = new Uint32Array(rows);
    for (;;) {
      const wanted: Wanted[] = [];
      for (let n = 0; n < rows; n++) {
        if (slot.good[n] || stopped) continue;
        const limit = shuffle ? order.length : 1;
        const at = (k: number) => order[(positionOf(number, (share?.first ?? 0) + n) + k) % order.length]!;
        while (tried[n]! < limit && cache.bad.has(at(tried[n]!))) tried[n]!++;
        if (tried[n] === limit) {
          if (shuffle) throw tooManyBad(dataset, cache);
          continue;
        }
        const i = at(tried[n]!);
        slot.labels[n] = dataset.label(i);
        slot.indices[n] = i;
        wanted.push({ slot, n, i });
      }
      if (wanted.length === 0) break;
      await load(slot, wanted);
    }
    slot.valid = compact(slot, recordBytes);
    if (share) slot.valid = Math.max(0, Math.min(share.count, validOf(number) - share.first));
    return slot;
  }

  /**
   * The indices of the whole batch of which this is a share. Replacements of bad images are exact for the rank's own
   * rows; for others, only for bad images that it has met.
   */
  function wholeOf({ indices }: Slot, number: number, { first, count }: Share): Batch["whole"] {
    const all = Uint32Array.from({ length: batch }, (_, n) => {
      let at = positionOf(number, n);
      for (let k = 0; k < order.length && cache.bad.has(order[at]!); k++) at = (at + 1) % order.length;
      return order[at]!;
    });
    for (let n = 0; n < count; n++) all[(first + n) % batch] = indices[n]!;
    return { indices: all, valid: validOf(number) };
  }

  return {
    batches,
    get bad() {
      return [...cache.bad].map(([i, reason]) => `${dataset.nameOf(i)}: ${reason}`);
    },
    async *[Symbol.asyncIterator]() {
      stopped = false;
      const idle = Array.from({ length: Math.min(prefetch, batches - from) }, () =>
        newSlot(share?.count ?? batch, recordBytes),
      );
      const ahead: Promise<Slot>[] = [];
      let next = from;
      const startFilling = () => {
        while (idle.length > 0 && next < batches) {
          const filling = fill(idle.pop()!, next++);
          // A failure is rethrown when its turn comes, below; until then avoid an unhandled rejection.
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
          const whole = share && wholeOf(slot, number, share);
          const position = number * batch;
          if (valid > 0 || share) {
            yield { pixels, labels, indices, valid, ...(whole && { whole }), number, position, waitedMs };
          }
          idle.push(slot);
        }
      } finally {
        stopped = true;
      }
    },
  };
}

/** Image i of the data set, wanted in row n of a batch. */
interface Wanted {
  readonly slot: Slot;
  readonly n: number;
  readonly i: number;
}

/** Few, so that all workers share the batch that is needed next. */
const IMAGES_PER_JOB = 8;

function chunks(images: readonly ImageForRow[]): (readonly ImageForRow[])[] {
  return Array.from({ length: Math.ceil(images.length / IMAGES_PER_JOB) }, (_, k) =>
    images.slice(k * IMAGES_PER_JOB, (k + 1) * IMAGES_PER_JOB),
  );
}

/** The memory of a batch. */
interface Slot {
  /** The memory behind `pixels`, shared with the workers. */
  readonly memory: SharedArrayBuffer;
  readonly pixels: Uint8Array;
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
  /** Which rows hold an image. */
  readonly good: Uint8Array;
  valid: number;
}

function newSlot(batch: number, recordBytes: number): Slot {
  const memory = new SharedArrayBuffer(batch * recordBytes);
  return {
    memory,
    pixels: new Uint8Array(memory),
    labels: new Uint32Array(batch),
    indices: new Uint32Array(batch),
    good: new Uint8Array(batch),
    valid: 0,
  };
}

/** Moves the rows that hold an image to the front and fills the rest with copies. @returns how many hold an image */
function compact({ pixels, labels, indices, good }: Slot, recordBytes: number): number {
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

/** Whether an error is the image file's fault, not a bug. */
function isBad(error: unknown): error is Error {
  return error instanceof DataError || (error instanceof Error && "syscall" in error);
}

function tooManyBad(dataset: Dataset, { bad }: RecordCache): DataError {
  const [first] = bad;
  const example = first ? `, first ${dataset.nameOf(first[0])}: ${first[1]}` : "";
  return new DataError(
    `${bad.size} of the ${plural(dataset.length, "image")} of ${dataset.name} can't be used${example}: ` +
      `repair or remove them (at most ${100 * TOLERATED_BAD_SHARE}% are skipped)`,
  );
}

/** A semaphore. */
class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async acquire(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}

/** @throws ShapeError unless they are indices of the set's images */
function checkSamples(samples: Uint32Array, { name, length }: Dataset): void {
  if (!(samples instanceof Uint32Array)) {
    throw new ShapeError(`createLoader: samples are ${show(samples)}, must be a Uint32Array`);
  }
  const beyond = samples.find((i) => i >= length);
  if (beyond === undefined) return;
  throw new ShapeError(
    `createLoader: sample ${beyond} is out of range: ${name} has ${length} images, 0 to ${length - 1}`,
  );
}
