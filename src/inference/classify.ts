/** Class probabilities for every image of a set, in order: from one model, or the mean of several. */
import { testViews, type ViewCount } from "../data/augmentation.ts";
import type { Dataset } from "../data/dataset.ts";
import { createLoader, type Batch, type RecordCache } from "../data/loader.ts";
import { DataError } from "../errors.ts";
import type { Network } from "../net/recipe.ts";
import { probabilities } from "./forward.ts";
import type { Member } from "./member.ts";

export interface ClassifyOptions {
  readonly batch: number;
  readonly views?: ViewCount;
  /** Only these images, instead of all. */
  readonly samples?: Uint32Array;
  /** Keeps records from call to call; only if all models take the same records. */
  readonly cache?: RecordCache;
  /** Called for each image that can't be used, once per cache. */
  readonly onBad?: (name: string, reason: string) => void;
  readonly signal?: AbortSignal;
}

/** A batch and its probabilities, valid until the next batch. */
interface Classified extends Pick<Batch, "labels" | "indices" | "valid"> {
  /** Number of columns of `p`; those from `valid` on are padding. */
  readonly images: number;
  /** Classes × images, the mean over views and models. */
  readonly p: Float64Array;
}

/**
 * @param found called with each batch
 * @returns "file: reason" for each image that can't be used
 * @throws DataError when too many images can't be used
 */
export async function classify(
  members: readonly Member[],
  dataset: Dataset,
  { batch, views = 1, samples, cache, onBad, signal }: ClassifyOptions,
  found: (batch: Classified) => void,
): Promise<readonly string[]> {
  // Models that take the same records share their batches.
  const networks = members.map(({ model }) => model.network);
  const kinds = [...new Map(networks.map((network) => [recordKind(network), network])).values()];
  const loaders = kinds.map(({ record: recordSize, resize }, k) =>
    createLoader(dataset, {
      ...{ batch, recordSize, resize },
      ...(samples && { samples }),
      ...(cache && { cache }),
      ...(k === 0 && onBad && { onBad }),
    }),
  );
  const kindOf = networks.map((network) => kinds.findIndex((kind) => recordKind(kind) === recordKind(network)));
  const viewsOf = members.map(({ model: { network } }) => testViews(views, batch, network.record, network.crop));
  for await (const batches of inStep(loaders)) {
    signal?.throwIfAborted();
    const { labels, indices, valid } = batches[0]!;
    const sums = new Float64Array(members[0]!.model.classes * batch);
    for (const [m, { model, mean, temperature }] of members.entries()) {
      const { pixels } = batches[kindOf[m]!]!;
      const p = await probabilities(model, mean, pixels, viewsOf[m]!, temperature);
      for (let i = 0; i < sums.length; i++) sums[i]! += p[i]!;
    }
    found({ labels, indices, valid, images: batch, p: sums.map((sum) => sum / members.length) });
  }
  return loaders[0]!.bad;
}

const recordKind = ({ record, resize }: Network): string => `${record} ${resize}`;

/** Iterates over several loaders of the same images in lockstep. */
async function* inStep(loaders: readonly AsyncIterable<Batch>[]): AsyncGenerator<readonly Batch[]> {
  const iterators = loaders.map((loader) => loader[Symbol.asyncIterator]());
  try {
    for (;;) {
      const results = await Promise.all(iterators.map((iterator) => iterator.next()));
      const batches = results.flatMap((result) => (result.done ? [] : [result.value as Batch]));
      if (batches.length === 0) return;
      const [first] = batches;
      if (batches.length < results.length || batches.some((batch) => !isSame(batch, first!))) {
        throw new DataError("an image could be read for one model but not for another: are the files being changed?");
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
