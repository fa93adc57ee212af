/** Evaluation: loss and errors of a model on a set of images, with one view of each, two or ten [P §4.1]. */
import type { Tensor } from "../autograd/tensor.ts";
import { testViews, type ViewCount } from "../data/augmentation.ts";
import type { Dataset } from "../data/dataset.ts";
import { createLoader, RecordCache } from "../data/loader.ts";
import { DataError } from "../errors.ts";
import { Model, place } from "../model/model.ts";
import { checkCount, checkViews } from "./config.ts";
import { checkFit } from "./fit.ts";
import { closeSets, openSets } from "./sets.ts";
import { openDevice, type DeviceOptions } from "./device.ts";
import { probabilities, uploadMean } from "./passes.ts";
import { addScores, noScores, type Scores } from "./scores.ts";
import { findWeights, openWeights } from "./weights.ts";

export interface EvaluateOptions extends DeviceOptions {
  /** A folder or archive; the validation part of what the run was trained on if not given. */
  readonly data?: string;
  /** A run or a checkpoint file; the newest run if not given. */
  readonly model?: string;
  readonly batch?: number;
  /** 1: the centre; 2: the centre and its mirror image; 10: corners and centre, and their mirror images. */
  readonly views?: number;
}

export interface Evaluation {
  readonly network: string;
  readonly weights: string;
  readonly data: string;
  readonly views: ViewCount;
  readonly device: string;
  readonly total: Scores;
  /** For each class its name and scores. */
  readonly classes: readonly { readonly name: string; readonly scores: Scores }[];
  /** Files that could not be used. */
  readonly bad: readonly string[];
  readonly imagesPerSecond: number;
}

/**
 * @param signal stops it: it then rejects with the signal's reason
 * @throws UsageError, DataError, CheckpointError or DeviceError
 */
export async function evaluate(
  options: EvaluateOptions,
  progress: (done: number, total: number) => void = () => {},
  signal?: AbortSignal,
): Promise<Evaluation> {
  const views = checkViews(options.views ?? 1);
  if (options.batch !== undefined) checkCount("--batch", options.batch);
  const weights = findWeights(options.model);
  const { checkpoint, network } = openWeights(weights.path);
  try {
    const sets = await (options.data === undefined
      ? openSets(weights.config())
      : openSets({ data: options.data, val: null, holdOut: 0, seed: 0 }));
    try {
      const dataset = sets.val;
      requireClasses(dataset, checkpoint.classes, weights.path);
      const backend = await openDevice(options);
      try {
        const batch = Math.min(options.batch ?? network.recipe.batch, dataset.length);
        checkFit(network.name, place(network, checkpoint.classes.length), batch, backend, "evaluating");
        const model = new Model(network, backend, checkpoint.classes.length);
        checkpoint.loadInto(model);
        const start = performance.now();
        const result = await evaluateModel(model, uploadMean(backend, network.record, checkpoint.mean), dataset, {
          batch,
          views,
          progress,
          ...(signal ? { signal } : {}),
        });
        return {
          network: network.name,
          weights: weights.path,
          data: dataset.name,
          views,
          device: backend.description,
          ...result,
          imagesPerSecond: (1000 * result.total.images) / (performance.now() - start),
        };
      } finally {
        await backend.close();
      }
    } finally {
      await closeSets(sets);
    }
  } finally {
    checkpoint.close();
  }
}

export interface Pass {
  readonly batch: number;
  readonly views?: ViewCount;
  /** Records that are kept from one evaluation to the next. */
  readonly cache?: RecordCache;
  readonly progress?: (done: number, total: number) => void;
  /** Told of each image that can't be used, once for each cache. */
  readonly onBad?: (name: string, reason: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs a model over every image of a set, in order. @throws DataError when none, or too few, can be used */
export async function evaluateModel(
  model: Model,
  mean: Tensor,
  dataset: Dataset,
  { batch, views = 1, cache, progress = () => {}, onBad, signal }: Pass,
): Promise<Pick<Evaluation, "total" | "classes" | "bad">> {
  const { record, crop } = model.network;
  const viewsOfBatch = testViews(views, batch, record, crop);
  const total = noScores();
  const classes = dataset.classes.map((name) => ({ name, scores: noScores() }));
  const loader = createLoader(dataset, { batch, recordSize: record, ...(cache && { cache }), ...(onBad && { onBad }) });
  for await (const { pixels, labels, valid } of loader) {
    signal?.throwIfAborted();
    const p = await probabilities(model, mean, pixels, viewsOfBatch);
    for (let n = 0; n < valid; n++) {
      const label = labels[n]!;
      const column = Float64Array.from({ length: model.classes }, (_, k) => p[k * batch + n]!);
      const [loss, rank] = [-Math.log(Math.max(column[label]!, Number.MIN_VALUE)), rankOf(column, label)];
      for (const scores of [total, classes[label]!.scores]) addScores(scores, [loss], [rank], 1);
    }
    progress(total.images, dataset.length);
  }
  if (total.images === 0) {
    throw new DataError(`${dataset.name}: none of its ${dataset.length} images can be used, first ${loader.bad[0]}`);
  }
  return { total, classes, bad: loader.bad };
}

/** How many classes are more probable than the right one; ties as softmaxCrossEntropy breaks them. */
function rankOf(p: Float64Array, label: number): number {
  const right = p[label]!;
  let rank = 0;
  for (let k = 0; k < p.length; k++) if (p[k]! > right || (p[k] === right && k < label)) rank++;
  return rank;
}

function requireClasses(dataset: Dataset, expected: readonly string[], weights: string): void {
  const { classes } = dataset;
  if (classes.length === expected.length && classes.every((name, i) => name === expected[i])) return;
  const unknown = classes.find((name) => !expected.includes(name));
  const missing = expected.find((name) => !classes.includes(name));
  throw new DataError(
    `${dataset.name} has ${classes.length} classes, ${weights} knows ${expected.length}` +
      (unknown !== undefined
        ? `; "${unknown}" is unknown to it`
        : missing !== undefined
          ? `; "${missing}" is missing`
          : "") +
      `: evaluate on data with the classes it was trained on`,
  );
}
