/** The activations of a layer for every image of a set, as NumPy's .npy: what other programs learn from and compare. */
import { centreView } from "../data/augmentation.ts";
import type { Dataset } from "../data/dataset.ts";
import { createLoader } from "../data/loader.ts";
import { npyHeader } from "../data/npy.ts";
import { DataError, UsageError } from "../errors.ts";
import { replaceFile } from "../files.ts";
import { place } from "../model/model.ts";
import { findTap, type Tap } from "../model/tap.ts";
import { checkCount } from "./config.ts";
import { csvLine } from "./csv.ts";
import { openDevice, type DeviceOptions } from "./device.ts";
import { activations } from "./passes.ts";
import { closeSets } from "./sets.ts";
import { openTrained, setsFor, type Member } from "./trained.ts";

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
  readonly device: string;
  /** "file: what is wrong" of each image that can't be used, and has no row. */
  readonly bad: readonly string[];
  readonly imagesPerSecond: number;
}

/**
 * Writes a row of float32 an image, of its centre crop, in the order of the set.
 * @param progress told what takes its time, a line at a time
 * @param signal stops it: it then rejects with the signal's reason, and nothing is written
 * @throws UsageError, DataError, CheckpointError or DeviceError
 */
export async function features(
  options: FeaturesOptions,
  progress: (line: string) => void = () => {},
  signal?: AbortSignal,
): Promise<Features> {
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
      const backend = await openDevice(options);
      try {
        const batch = Math.min(options.batch ?? network.recipe.batch, dataset.length);
        const member = trained.load(backend, batch);
        const start = performance.now();
        let images = 0;
        let bad: readonly string[] = [];
        await replaceFile(table, async (append) => {
          const line = (...cells: (string | number)[]) => append(new TextEncoder().encode(csvLine(cells)));
          line("row", "image", "class");
          bad = await writeVectors(
            file,
            { member, tap, dataset, batch, progress, ...(signal && { signal }) },
            (index) => line(images++, dataset.nameOf(index), dataset.classes[dataset.label(index)]!),
          );
        });
        return {
          ...{ file, table, images, size: tap.size, layer: tap.name, network: network.name, bad },
          weights: trained.weights.path,
          data: dataset.name,
          device: backend.description,
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
 * Writes a .npy of a row an image, as they are computed: no more than a batch is held in memory.
 * @param wrote told of each row, in order, the number of its image
 * @returns "file: what is wrong" of the images that can't be used
 * @throws DataError when none, or too few, can be used
 */
export async function writeVectors(file: string, vectors: Vectors, wrote: (index: number) => void) {
  const { member, tap, dataset, batch, progress, signal } = vectors;
  const { record, crop } = member.model.network;
  const views = centreView(batch, record, crop);
  const loader = createLoader(dataset, { batch, recordSize: record });
  await replaceFile(file, async (append) => {
    const room = [dataset.length, tap.size];
    append(npyHeader(room));
    let rows = 0;
    for await (const { pixels, indices, valid } of loader) {
      signal?.throwIfAborted();
      const values = await activations(member.model, member.mean, { pixels, views }, tap.count);
      append(new Uint8Array(values.buffer, 0, 4 * valid * tap.size));
      for (let n = 0; n < valid; n++) wrote(indices[n]!);
      rows += valid;
      progress(`${tap.name}: ${rows.toLocaleString("en-US")} of ${dataset.length.toLocaleString("en-US")} images`);
    }
    if (rows === 0) {
      throw new DataError(`${dataset.name}: none of its ${dataset.length} images can be used, first ${loader.bad[0]}`);
    }
    // How many there are is only known now.
    append(npyHeader([rows, tap.size], room), 0);
  });
  return loader.bad;
}
