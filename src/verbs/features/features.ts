/** The activations of a layer for every image of a set, as NumPy's .npy: what other programs learn from and compare. */
import { centreView } from "../../data/augmentation.ts";
import type { Dataset } from "../../data/dataset.ts";
import { createLoader } from "../../data/loader.ts";
import type { Remark } from "../../data/remarks.ts";
import { closeSets } from "../../data/select.ts";
import { DEVICE_OPTIONS, openDeviceOf, type DeviceOptions } from "../../devices/open.ts";
import { DataError, UsageError } from "../../errors.ts";
import { activations } from "../../inference/forward.ts";
import { openTrained, setsFor, type Member } from "../../inference/loaded_model.ts";
import { csvLine } from "../../io/csv.ts";
import { replaceFile, type Append } from "../../io/files.ts";
import { npyHeader } from "../../io/npy.ts";
import { place } from "../../net/model.ts";
import { findTap, type Tap } from "../../net/tap.ts";
import { checkOptions, type OptionKinds, given } from "../../options.ts";
import {
  agree,
  describeDevice,
  fingerprint,
  gatherValues,
  hashOf,
  settingsOf,
  stoppedElsewhere,
} from "../../ranks/agreement.ts";
import { ALONE, type Ranks } from "../../ranks/ranks.ts";
import { checkCount } from "../../runs/config.ts";
import { count, plural } from "../../words.ts";

export interface FeaturesOptions extends DeviceOptions {
  /** A folder or archive; what the run was trained on if not given. */
  readonly data?: string;
  /** Which part of it, where it has two: "train" if not given, or "val". */
  readonly part?: string;
  /** A run or a checkpoint file; the newest run if not given. */
  readonly model?: string;
  /** The name of a layer; as `findTap` chooses if not given. */
  readonly layer?: string;
  readonly batch?: number;
  /** The .npy file to write; features.npy if not given. A .csv of the same name says what each row is of. */
  readonly out?: string;
}

const OPTIONS: OptionKinds<FeaturesOptions> = {
  ...DEVICE_OPTIONS,
  ...{ data: "string?", part: "string?", model: "string?", layer: "string?", batch: "number?", out: "string?" },
};

export interface Features {
  readonly file: string;
  readonly table: string;
  /** Rows and columns. */
  readonly images: number;
  readonly size: number;
  readonly layer: string;
  readonly network: string;
  readonly weights: string;
  readonly data: string;
  /** Where the run's images are no longer what they were: what has changed, for people. */
  readonly changes?: string;
  readonly device: string;
  /** "file: what is wrong" of each image that can't be used, and has no row. */
  readonly bad: readonly string[];
  /** What of the data was left alone, and what looks odd. */
  readonly remarks: readonly Remark[];
  readonly imagesPerSecond: number;
}

/**
 * Writes a row of float32 an image, of its centre crop, in the order of the set.
 * @param progress told what takes its time, a line at a time
 * @param signal stops it: it then rejects with the signal's reason, and nothing is written
 * @param ranks who share the images, each calling this with the same options; rank 0 alone writes
 * @throws UsageError, DataError, CheckpointError or DeviceError
 */
export async function features(
  options: FeaturesOptions,
  progress: (line: string) => void = () => {},
  signal?: AbortSignal,
  ranks: Ranks = ALONE,
): Promise<Features> {
  checkOptions("features", options, OPTIONS);
  const { part = "train", out: file = "features.npy" } = options;
  if (options.batch !== undefined) checkCount("--batch", options.batch);
  if (part !== "train" && part !== "val") throw new UsageError(`--part ${part}: must be train or val`);
  if (!file.endsWith(".npy")) throw new UsageError(`--out ${file}: must end in .npy`);
  const table = file.replace(/\.npy$/, ".csv");
  const trained = openTrained(options.model);
  try {
    const { network, classes } = trained;
    const tap = findTap(place(network, classes.length), options.layer);
    const sets = await setsFor(options.data, trained, progress);
    try {
      const dataset = sets[part];
      await agree(ranks, async () => ({
        ...settingsOf(options),
        weights: hashOf(trained.weights.path),
        images: await fingerprint(dataset),
      }));
      const backend = await openDeviceOf(options, ranks);
      try {
        const batch = Math.min(options.batch ?? network.recipe.batch, dataset.length);
        const member = trained.load(backend, batch);
        const start = performance.now();
        let images = 0;
        let bad: readonly string[] = [];
        await byFirst(ranks, table, async (append) => {
          const line = (...cells: (string | number)[]) => append(new TextEncoder().encode(csvLine(cells)));
          line("row", "image", "class");
          bad = await writeVectors(
            file,
            { member, tap, dataset, batch, progress, ...(signal && { signal }) },
            (index) => line(images++, dataset.nameOf(index), dataset.classes[dataset.label(index)]!),
            ranks,
          );
        });
        return {
          ...{ file, table, images, size: tap.size, layer: tap.name, network: network.name, bad },
          weights: trained.weights.path,
          data: dataset.name,
          remarks: sets.remarks,
          ...given({ changes: sets.changes }),
          device: describeDevice(ranks, backend),
          imagesPerSecond: (1000 * images) / (performance.now() - start),
        };
      } finally {
        await backend.close();
      }
    } finally {
      await closeSets(sets);
    }
  } finally {
    trained.close();
  }
}

export interface Vectors {
  readonly member: Member;
  readonly tap: Tap;
  readonly dataset: Dataset;
  readonly batch: number;
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** How far the rows of a file of so many stand from its beginning. */
export const vectorsStart = (images: number, size: number): number => npyHeader([images, size]).length;

/**
 * Writes a .npy of a row an image, as they are computed: no more than a few batches are held in memory.
 * @param wrote told of each row, in order, the number of its image
 * @param ranks each computes every so-many-th batch; rank 0 writes, and is told
 * @returns "file: what is wrong" of the images that can't be used
 * @throws DataError when none, or too few, can be used
 */
export async function writeVectors(
  file: string,
  vectors: Vectors,
  wrote: (index: number) => void,
  ranks: Ranks = ALONE,
): Promise<readonly string[]> {
  const { tap, dataset, progress } = vectors;
  const own = new OwnVectors(vectors, ranks);
  let bad: readonly string[] = [];
  await byFirst(ranks, file, async (append) => {
    const room = [dataset.length, tap.size];
    append(npyHeader(room));
    let rows = 0;
    const merge = new Merge(ranks.size, tap.size);
    for await (const blocks of own.rounds()) {
      merge.add(blocks);
      for (const { index, values } of merge.ready()) {
        append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
        wrote(index);
        rows++;
      }
      progress(`${tap.name}: ${count(rows)} of ${count(dataset.length)} images`);
    }
    bad = (await gatherValues(ranks, own.bad)).flat();
    if (rows === 0) {
      throw new DataError(
        `${dataset.name}: none of its ${plural(dataset.length, "image")} can be used, first ${bad[0]}`,
      );
    }
    // How many there are is only known now.
    append(npyHeader([rows, tap.size], room), 0);
  });
  return bad;
}

/** What rank 0 writes, and the others only go through. */
async function byFirst(ranks: Ranks, file: string, write: (append: Append) => Promise<void>): Promise<void> {
  await (ranks.rank === 0 ? replaceFile(file, write) : write(() => {}));
}

/** The numbers of some images, in order, and of each a row. */
interface Block {
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

/** This rank's part of the vectors, put together with those of the others round by round. */
class OwnVectors {
  bad: readonly string[] = [];
  readonly #vectors: Vectors;
  readonly #ranks: Ranks;

  constructor(vectors: Vectors, ranks: Ranks) {
    this.#vectors = vectors;
    this.#ranks = ranks;
  }

  /** In each round the next batch of every rank, empty of one that has no more. */
  async *rounds(): AsyncGenerator<readonly Block[]> {
    const { tap, signal } = this.#vectors;
    const own = this.#batches();
    for (;;) {
      const { value } = await own.next();
      const stopped = await gatherValues(this.#ranks, signal?.aborted === true);
      if (stopped.includes(true)) throw signal?.reason ?? stoppedElsewhere();
      const { indices, values } = value ?? { indices: new Uint32Array(0), values: new Float32Array(0) };
      const [numbers, rows] = [await this.#ranks.gather(bytesOf(indices)), await this.#ranks.gather(bytesOf(values))];
      const blocks = numbers.map((each, rank) => {
        const images = new Uint32Array(each.slice().buffer);
        return { indices: images, values: new Float32Array(rows[rank]!.slice().buffer, 0, images.length * tap.size) };
      });
      if (blocks.every((block) => block.indices.length === 0)) return;
      yield blocks;
    }
  }

  async *#batches(): AsyncGenerator<Block> {
    const { member, tap, dataset, batch, signal } = this.#vectors;
    const { rank, size } = this.#ranks;
    const samples = Uint32Array.from({ length: dataset.length }, (_, i) => i).filter(
      (i) => Math.floor(i / batch) % size === rank,
    );
    if (samples.length === 0) return;
    const { record, crop } = member.model.network;
    const views = centreView(batch, record, crop);
    const loader = createLoader(dataset, { batch, recordSize: record, samples });
    for await (const { pixels, indices, valid } of loader) {
      if (signal?.aborted) return;
      const values = await activations(member.model, member.mean, { pixels, views }, tap.count);
      yield { indices: indices.slice(0, valid), values: values.subarray(0, valid * tap.size) };
    }
    this.bad = loader.bad;
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Brings the rows of several ranks, each of which has its own in order, into one order. */
class Merge {
  readonly #queues: Row[][];
  readonly #ended: boolean[];
  readonly #size: number;

  constructor(ranks: number, size: number) {
    this.#queues = Array.from({ length: ranks }, () => []);
    this.#ended = this.#queues.map(() => false);
    this.#size = size;
  }

  add(blocks: readonly Block[]): void {
    for (const [rank, { indices, values }] of blocks.entries()) {
      if (indices.length === 0) this.#ended[rank] = true;
      for (const [n, index] of indices.entries()) {
        this.#queues[rank]!.push({ index, values: values.subarray(n * this.#size, (n + 1) * this.#size) });
      }
    }
  }

  /** The rows before which none can come any more. */
  *ready(): Generator<Row> {
    for (;;) {
      const waits = this.#queues.some((queue, rank) => queue.length === 0 && !this.#ended[rank]);
      if (waits) return;
      const [first] = this.#queues.filter(([row]) => row).sort(([a], [b]) => a!.index - b!.index);
      if (!first) return;
      yield first.shift()!;
    }
  }
}

interface Row {
  readonly index: number;
  readonly values: Float32Array;
}
