/**
 * Batches of decoded images, in an order that only seed and epoch decide, made while the device works on those before.
 * Worker threads read and decode straight into the memory of a batch; the main thread hands out rows, and copies records
 * that are kept. A few batches are made ahead, in memory that is used in turn.
 */
import { availableParallelism } from "node:os";
import { DataError, ShapeError } from "../errors.ts";
import { checkOptions, requireWhole, show, type OptionKinds } from "../options.ts";
import { plural } from "../words.ts";
import { RecordCache } from "./cache.ts";
import type { Dataset } from "./dataset.ts";
import { alone, decodeRows, type Row } from "./decoding.ts";
import { isTolerated, TOLERATED_BAD_SHARE } from "./image.ts";
import { epochOrder, type Shuffle } from "./sampling.ts";
import type { Share } from "./share.ts";

export { RecordCache } from "./cache.ts";

export interface LoaderOptions {
  /** Images a batch. */
  readonly batch: number;
  /** Side of the records in pixels. */
  readonly recordSize: number;
  /** Training: the images of an epoch in random order. Without it they come in their own order. */
  readonly shuffle?: Shuffle;
  /** Only these images, instead of all. */
  readonly samples?: Uint32Array;
  /**
   * Of each batch of a shuffled epoch only these rows, where several share it; behind the last row of the batch comes the
   * first one again.
   */
  readonly share?: Share;
  /** The batch to start with, where an epoch was broken off. */
  readonly from?: number;
  /** How many batches are made ahead. */
  readonly prefetch?: number;
  /** How many images are read at once, where the data set reads them itself. */
  readonly inFlight?: number;
  /** Records kept from epoch to epoch. Without it every image is decoded. */
  readonly cache?: RecordCache;
  /** Told of each image that can't be used, once. */
  readonly onBad?: (name: string, reason: string) => void;
}

const OPTIONS: OptionKinds<LoaderOptions> = {
  ...{ batch: "number", recordSize: "number", shuffle: "object?", samples: "any?", share: "object?", from: "number?" },
  ...{ prefetch: "number?", inFlight: "number?", cache: "object?", onBad: "function?" },
};

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
  /** The numbers of all images of the batch, and how many of them count, where it is shared. */
  readonly whole?: { readonly indices: Uint32Array; readonly valid: number };
  /** The number of this batch in the epoch, and the position of its first image. */
  readonly number: number;
  readonly position: number;
  /** How long it had to be waited for. */
  readonly waitedMs: number;
}

interface Loader extends AsyncIterable<Batch> {
  /** Batches in a whole epoch. */
  readonly batches: number;
  /** "name: what is wrong" of each image that could not be used so far. */
  readonly bad: readonly string[];
}

/**
 * One epoch of a data set.
 *
 * An image that can't be used is counted and named. In a shuffled epoch the next good one of the order takes its
 * place, so that batches stay full and the same; in an ordered one (evaluation) it is left out, since no image may
 * count twice: `valid` is then smaller.
 * @throws ShapeError for numbers that make no sense, samples that the set does not have, or a cache of other records;
 * UsageError for an option that is unknown or missing
 * @throws DataError while iterating, when too many images can't be used
 */
export function createLoader(dataset: Dataset, options: LoaderOptions): Loader {
  checkOptions("createLoader", options, OPTIONS);
  const { batch, recordSize, shuffle, share, from = 0, prefetch = 3, onBad } = options;
  const { samples = Uint32Array.from({ length: dataset.length }, (_, i) => i) } = options;
  requireWhole("createLoader", { batch, recordSize, prefetch, inFlight: options.inFlight ?? 1 });
  requireWhole("createLoader", { from }, 0);
  checkSamples(samples, dataset);
  const recordBytes = recordSize * recordSize * 3;
  const cache = options.cache ?? new RecordCache(dataset, recordSize, 0);
  if (cache.recordBytes !== recordBytes) {
    throw new ShapeError(
      `loader: the cache has records of ${cache.recordBytes} bytes, ${recordSize} × ${recordSize} images need ${recordBytes}`,
    );
  }
  const order = shuffle ? epochOrder(dataset, samples, shuffle) : samples;
  const batches = Math.ceil(order.length / batch);
  if (share && !shuffle) throw new ShapeError("loader: only the batches of a shuffled epoch can be shared");
  const reading = new Slots(options.inFlight ?? Math.max(8, 4 * availableParallelism()));
  // Pixels that can be copied from a file as they are need no other memory: the system keeps what was read lately.
  const isRaw = dataset.length > 0 && dataset.place?.(0).rawSide === recordSize;
  let stopped = false;

  /** The image of one row, ready for a worker; undefined when its record is there already, or can't be had. */
  async function find({ slot, n, i }: Wanted): Promise<Row | undefined> {
    const target = slot.pixels.subarray(n * recordBytes, (n + 1) * recordBytes);
    if (cache.copy(i, target)) {
      slot.good[n] = 1;
      return undefined;
    }
    if (dataset.place) return { row: n, image: dataset.place(i) };
    await reading.take();
    try {
      if (stopped) return undefined;
      const image = await dataset.read(i);
      if (image.kind !== "pixels" || image.width !== recordSize || image.height !== recordSize)
        return { row: n, image: alone(image) };
      target.set(image.pixels);
      cache.keep(i, target);
      slot.good[n] = 1;
    } catch (error) {
      if (!isBad(error)) throw error;
      reject(i, error.message);
    } finally {
      reading.give();
    }
    return undefined;
  }

  function reject(i: number, reason: string): void {
    // Two batches may have met it at the same time.
    if (cache.bad.has(i)) return;
    cache.bad.set(i, reason);
    onBad?.(dataset.nameOf(i), reason);
    if (isTolerated(cache.bad.size, dataset.length)) return;
    throw tooManyBad(dataset, cache);
  }

  /** Loads images into rows of a batch, several at once; `good` tells which came. */
  async function load(slot: Slot, wanted: readonly Wanted[]): Promise<void> {
    const rows = await Promise.all(wanted.map(find));
    const images = new Map(wanted.map(({ n, i }) => [n, i]));
    const decode = async (part: readonly Row[]) => {
      const reasons = await decodeRows(slot.memory, recordSize, part, () => !stopped);
      reasons?.forEach((reason, k) => {
        const { row } = part[k]!;
        const i = images.get(row)!;
        if (reason !== undefined) return reject(i, reason);
        slot.good[row] = 1;
        if (!isRaw) cache.keep(i, slot.pixels.subarray(row * recordBytes, (row + 1) * recordBytes));
      });
    };
    await Promise.all(parts(rows.filter((row) => row !== undefined)).map(decode));
  }

  /** How many images of a batch count. */
  const validOf = (number: number) => Math.min(batch, order.length - number * batch);
  /** The position in the epoch of row n of a batch; what does not count repeats what does. */
  const positionOf = (number: number, n: number) => number * batch + ((n % batch) % validOf(number));

  async function fill(slot: Slot, number: number): Promise<Slot> {
    const rows = share?.count ?? validOf(number);
    slot.good.fill(0);
    // The first image after each row's position that is not known to be bad.
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
    slot.valid = closeUp(slot, recordBytes);
    if (share) slot.valid = Math.max(0, Math.min(share.count, validOf(number) - share.first));
    return slot;
  }

  /**
   * All images of a batch of which this is a share. Those in place of bad ones are known of the own rows, and of others
   * as far as this one has met them.
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

/** Image i of the data set, for row n of a batch. */
interface Wanted {
  readonly slot: Slot;
  readonly n: number;
  readonly i: number;
}

/** So many images go to a worker at once: few, so that all workers are at the batch that is waited for. */
const ROWS_A_JOB = 8;

function parts(rows: readonly Row[]): (readonly Row[])[] {
  return Array.from({ length: Math.ceil(rows.length / ROWS_A_JOB) }, (_, k) =>
    rows.slice(k * ROWS_A_JOB, (k + 1) * ROWS_A_JOB),
  );
}

/** The memory of a batch. */
interface Slot {
  /** What `pixels` shows, shared with the workers. */
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

/** Errors of the image's file, not of this program. */
function isBad(error: unknown): error is Error {
  return error instanceof DataError || (error instanceof Error && "syscall" in error);
}

function tooManyBad(dataset: Dataset, { bad }: RecordCache): DataError {
  const [first] = bad;
  const example = first ? `, first ${dataset.nameOf(first[0])}: ${first[1]}` : "";
  return new DataError(
    `${bad.size} of the ${plural(dataset.length, "image")} of ${dataset.name} can't be used${example}: ` +
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

/** @throws ShapeError unless they are numbers of images of the set */
function checkSamples(samples: Uint32Array, { name, length }: Dataset): void {
  if (!(samples instanceof Uint32Array)) {
    throw new ShapeError(`createLoader: samples are ${show(samples)}, must be a Uint32Array`);
  }
  const beyond = samples.find((i) => i >= length);
  if (beyond === undefined) return;
  throw new ShapeError(
    `createLoader: sample ${beyond}, and ${name} has ${length} images: they go from 0 to ${length - 1}`,
  );
}
