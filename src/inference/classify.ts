/** The probabilities of the classes for every image of a set, in order, by one model or as the mean of several. */
import { testViews, type ViewCount } from "../data/augmentation.ts";
import type { Dataset } from "../data/dataset.ts";
import { createLoader, type Batch, type RecordCache } from "../data/loader.ts";
import { DataError } from "../errors.ts";
import { probabilities } from "./forward.ts";
import type { Member } from "./loaded_model.ts";

export interface ClassifyOptions {
  readonly batch: number;
  readonly views?: ViewCount;
  /** Only these images, instead of all. */
  readonly samples?: Uint32Array;
  /** Records that are kept from one time to the next; only for models that all see records of its size. */
  readonly cache?: RecordCache;
  /** Told of each image that can't be used, once for each cache. */
  readonly onBad?: (name: string, reason: string) => void;
  readonly signal?: AbortSignal;
}

/** It holds until the next batch. */
export interface Classified extends Pick<Batch, "labels" | "indices" | "valid"> {
  /** How many columns `p` has; those from `valid` on don't count. */
  readonly images: number;
  /** Classes × images, the mean over views and models. */
  readonly p: Float64Array;
}

/**
 * @param found is told of each batch
 * @returns "file: what is wrong" of each image that could not be used
 * @throws DataError when too many images can't be used
 */
export async function classify(
  members: readonly Member[],
  dataset: Dataset,
  { batch, views = 1, samples, cache, onBad, signal }: ClassifyOptions,
  found: (batch: Classified) => void,
): Promise<readonly string[]> {
  // Models that see records of one size share their batches; others get the same images in another size.
  const sides = [...new Set(members.map(({ model }) => model.network.record))];
  const loaders = sides.map((recordSize, k) =>
    createLoader(dataset, {
      ...{ batch, recordSize },
      ...(samples && { samples }),
      ...(cache && { cache }),
      ...(k === 0 && onBad && { onBad }),
    }),
  );
  const viewsOf = members.map(({ model: { network } }) => testViews(views, batch, network.record, network.crop));
  for await (const batches of inStep(loaders)) {
    signal?.throwIfAborted();
    const { labels, indices, valid } = batches[0]!;
    const sums = new Float64Array(members[0]!.model.classes * batch);
    for (const [m, { model, mean }] of members.entries()) {
      const { pixels } = batches[sides.indexOf(model.network.record)]!;
      const p = await probabilities(model, mean, pixels, viewsOf[m]!);
      for (let i = 0; i < sums.length; i++) sums[i]! += p[i]!;
    }
    found({ labels, indices, valid, images: batch, p: sums.map((sum) => sum / members.length) });
  }
  return loaders[0]!.bad;
}

/** The batches of several loaders of the same images, side by side. */
async function* inStep(loaders: readonly AsyncIterable<Batch>[]): AsyncGenerator<readonly Batch[]> {
  const iterators = loaders.map((loader) => loader[Symbol.asyncIterator]());
  try {
    for (;;) {
      const results = await Promise.all(iterators.map((iterator) => iterator.next()));
      const batches = results.flatMap((result) => (result.done ? [] : [result.value as Batch]));
      if (batches.length === 0) return;
      const [first] = batches;
      if (batches.length < results.length || batches.some((batch) => !isSame(batch, first!))) {
        throw new DataError("an image could be read for one model and not for another: are the files being changed?");
      }
      yield batches;
    }
  } finally {
    await Promise.all(iterators.map((iterator) => iterator.return?.()));
  }
}

function isSame(a: Batch, b: Batch): boolean {
  return a.valid === b.valid && a.indices.every((index, n) => n >= a.valid || index === b.indices[n]);
}
