/** Writes the activations of a layer for every image of a set as a .npy file, for other programs to learn from. */
import { centreView } from "../../data/augmentation.ts";
import type { Dataset } from "../../data/dataset.ts";
import { createLoader } from "../../data/loader.ts";
import { dataset } from "../../data/memory.ts";
import type { Remark } from "../../data/remarks.ts";
import { DEVICE_OPTIONS, openDeviceOf } from "../../devices/open.ts";
import { DataError, UsageError } from "../../errors.ts";
import { activations } from "../../inference/forward.ts";
import { openTrained, setsFor, usualBatch } from "../../inference/loaded_model.ts";
import type { Member } from "../../inference/member.ts";
import { csvLine } from "../../io/csv.ts";
import { replaceFile, type Append } from "../../io/files.ts";
import { npyHeader } from "../../io/npy.ts";
import { place } from "../../net/model.ts";
import { findTap, type Tap } from "../../net/tap.ts";
import { option } from "../../option_names.ts";
import { given } from "../../options.ts";
import {
  agree,
  describeDevice,
  fingerprint,
  gatherValues,
  hashOf,
  settingsOf,
  stoppedElsewhere,
} from "../../ranks/agreement.ts";
import { working, type Context, type Notice, type Working } from "../../ranks/context.ts";
import { findWeights } from "../../runs/weights.ts";
import { ALONE, type Ranks } from "../../ranks/ranks.ts";
import { count, oneOf, text, type OptionsOf } from "../../schema.ts";
import { plural } from "../../words.ts";

export const FEATURES_OPTIONS = {
  /** A folder or archive; by default what the run was trained on. */
  data: dataset("A set of images, as for `train` (what the run was trained on)", { place: "word" }),
  /** Which split of the data; by default "train". */
  part: oneOf(["train", "val"], "train or val, if the set has both (train)", { hint: "PART" }),
  /** A run or a checkpoint file; by default the newest run. */
  model: text("A run or a .safetensors file (the newest run)", { hint: "RUN" }),
  /** The name of a layer; by default the last hidden one. */
  layer: text("Which layer (the last hidden one: fc7 in AlexNet)", { hint: "NAME" }),
  /** Batch size; by default as in training. */
  batch: count("Batch size (as in training, or what the device has memory for)", { hint: "N" }),
  /** The .npy file to write, by default features.npy. A .csv of the same name lists the image of each row. */
  out: text("The file to write; a .csv beside it names the rows (features.npy)", { hint: "FILE.npy" }),
  ...DEVICE_OPTIONS,
};

export interface FeaturesOptions extends OptionsOf<typeof FEATURES_OPTIONS> {}

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
  /** If images of the run have changed: what has changed, for people. */
  readonly changes?: string;
  readonly device: string;
  /** "file: reason" for each image that can't be used and so has no row. */
  readonly bad: readonly string[];
  /** What was ignored in the data, and what looks odd. */
  readonly remarks: readonly Remark[];
  readonly imagesPerSecond: number;
}

/**
 * Writes a row of float32 for the centre crop of each image, in the order of the set.
 * @throws UsageError, DataError, CheckpointError or DeviceError; then nothing is written
 */
export async function features(call: FeaturesOptions & Context = {}): Promise<Features> {
  const { options, ranks, signal, note, progress } = working("features", call, FEATURES_OPTIONS);
  const { part = "train", out: file = "features.npy" } = options;
  if (!file.endsWith(".npy")) throw new UsageError(`${option("out")} ${file}: must end in .npy`);
  const table = file.replace(/\.npy$/, ".csv");
  // One process fetches what is missing.
  await ranks.share(async () => (await findWeights(options.model, note)).path);
  using trained = await openTrained(options.model, note);
  const { network, classes } = trained;
  const tap = findTap(place(network, classes.length), options.layer);
  await using sets = await setsFor(options.data, trained, note);
  const dataset = sets[part];
  await agree(ranks, async () => ({
    ...settingsOf(options),
    weights: hashOf(trained.weights.path),
    images: await fingerprint(dataset),
  }));
  await using backend = await openDeviceOf(options, ranks);
  const most = Math.min(options.batch ?? network.recipe.batch, dataset.length);
  const own = options.batch === undefined ? usualBatch([trained], most, backend) : most;
  const batch = Math.min(...(await gatherValues(ranks, own)));
  const member = trained.load(backend, batch);
  const start = performance.now();
  let images = 0;
  let bad: readonly string[] = [];
  await byFirst(ranks, table, async (append) => {
    const line = (...cells: (string | number)[]) => append(new TextEncoder().encode(csvLine(cells)));
    line("row", "image", "class");
    bad = await writeVectors(
      file,
      { member, tap, dataset, batch, progress, signal },
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
}

export interface Vectors {
  readonly member: Member;
  readonly tap: Tap;
  readonly dataset: Dataset;
  readonly batch: number;
  readonly progress: Working<Notice>["progress"];
  readonly signal: AbortSignal;
}

/** Offset of the first row, in bytes, in a .npy file of images × size. */
export const vectorsStart = (images: number, size: number): number => npyHeader([images, size]).length;

/**
 * Writes a .npy with a row per image as they are computed, with no more than a few batches in memory.
 * @param wrote called with the image of each row, in order
 * @param ranks take turns with the batches; rank 0 writes, and calls `wrote`
 * @returns "file: reason" for each image that can't be used
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
      progress(tap.name, rows, dataset.length, "images");
    }
    bad = (await gatherValues(ranks, own.bad)).flat();
    if (rows === 0) {
      throw new DataError(
        `${dataset.name}: none of its ${plural(dataset.length, "image")} can be used, first ${bad[0]}`,
      );
    }
    // The number of rows is only known now.
    append(npyHeader([rows, tap.size], room), 0);
  });
  return bad;
}

/** Writes a file on rank 0; other ranks run it without writing. */
async function byFirst(ranks: Ranks, file: string, write: (append: Append) => Promise<void>): Promise<void> {
  await (ranks.rank === 0 ? replaceFile(file, write) : write(() => {}));
}

/** The indices of some images, in order, and a row for each. */
interface RowBlock {
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

/** This rank's share of the vectors, gathered with those of the other ranks in rounds. */
class OwnVectors {
  bad: readonly string[] = [];
  readonly #vectors: Vectors;
  readonly #ranks: Ranks;

  constructor(vectors: Vectors, ranks: Ranks) {
    this.#vectors = vectors;
    this.#ranks = ranks;
  }

  /** In each round the next batch of every rank, empty for ranks that are done. */
  async *rounds(): AsyncGenerator<readonly RowBlock[]> {
    const { tap, signal } = this.#vectors;
    const own = this.#batches();
    for (;;) {
      const { value } = await own.next();
      const stopped = await gatherValues(this.#ranks, signal.aborted === true);
      if (stopped.includes(true)) throw signal.reason ?? stoppedElsewhere();
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

  async *#batches(): AsyncGenerator<RowBlock> {
    const { member, tap, dataset, batch, signal } = this.#vectors;
    const { rank, size } = this.#ranks;
    const samples = Uint32Array.from({ length: dataset.length }, (_, i) => i).filter(
      (i) => Math.floor(i / batch) % size === rank,
    );
    if (samples.length === 0) return;
    const { record, resize, crop } = member.model.network;
    const views = centreView(batch, record, crop);
    const loader = createLoader(dataset, { batch, recordSize: record, samples, resize });
    for await (const { pixels, indices, valid } of loader) {
      if (signal.aborted) return;
      const values = await activations(member.model, member.mean, { pixels, views }, tap.count);
      yield { indices: indices.slice(0, valid), values: values.subarray(0, valid * tap.size) };
    }
    this.bad = loader.bad;
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Merges the rows of several ranks, each in order, into one order. */
class Merge {
  readonly #queues: FeatureRow[][];
  readonly #ended: boolean[];
  readonly #size: number;

  constructor(ranks: number, size: number) {
    this.#queues = Array.from({ length: ranks }, () => []);
    this.#ended = this.#queues.map(() => false);
    this.#size = size;
  }

  add(blocks: readonly RowBlock[]): void {
    for (const [rank, { indices, values }] of blocks.entries()) {
      if (indices.length === 0) this.#ended[rank] = true;
      for (const [n, index] of indices.entries()) {
        this.#queues[rank]!.push({ index, values: values.subarray(n * this.#size, (n + 1) * this.#size) });
      }
    }
  }

  /** The rows that no later one can precede. */
  *ready(): Generator<FeatureRow> {
    for (;;) {
      const waits = this.#queues.some((queue, rank) => queue.length === 0 && !this.#ended[rank]);
      if (waits) return;
      const [first] = this.#queues.filter(([row]) => row).sort(([a], [b]) => a!.index - b!.index);
      if (!first) return;
      yield first.shift()!;
    }
  }
}

interface FeatureRow {
  readonly index: number;
  readonly values: Float32Array;
}
