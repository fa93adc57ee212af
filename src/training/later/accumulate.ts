/**
 * Gradient accumulation: a step on more images than the device holds at once. Its parts go through the network one
 * after the other, and their gradients add up to those of the whole batch; only batch normalisation sees each part by
 * itself, as in PyTorch.
 */
import { viewsOfShare } from "../../data/augmentation.ts";
import { shareOf } from "../../data/share.ts";
import { VIEW_LENGTH } from "../../engine/ops/augment.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import type { Model } from "../../net/model.ts";
import type { Optimizer } from "../../net/optimizer.ts";
import { forwardBackward, type TrainingBatch } from "../../net/passes.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import { readResult, type Step, type StepResult } from "../step.ts";

/** Number of images in a step, of a set of `length`. */
export function imagesPerStep(
  { batch, accumulate }: Pick<TrainConfig, "batch" | "accumulate">,
  length: number,
): number {
  return Math.min(batch * accumulate, length);
}

/** A part of a batch, and the index of its first image in it. */
export type BatchPart = TrainingBatch & { readonly first: number };

/** Divides a batch into so many parts; at least one image each. */
export function partsOf(batch: TrainingBatch, parts: number): BatchPart[] {
  if (parts === 1) return [{ ...batch, first: 0 }];
  const { pixels, views, labels, mixed, valid } = batch;
  const images = views.length / VIEW_LENGTH;
  const recordBytes = pixels.length / images;
  return Array.from({ length: parts }, (_, i) => {
    const { first, count } = shareOf(labels.length, i, parts);
    const end = first + count;
    // The last image's partner, which may be the first of the batch.
    const all = mixed ? { first, count: count + 1 } : { first, count };
    return {
      ...batch,
      first,
      pixels: rowsOf(pixels, recordBytes, all.first, all.count),
      views: viewsOfShare(views, all),
      seen: count,
      labels: labels.subarray(first, end),
      ...(mixed && { mixed: { others: mixed.others.subarray(first, end), shares: mixed.shares.subarray(first, end) } }),
      valid: Math.min(Math.max(valid - first, 0), count),
    };
  });
}

/** Rows of `length` bytes; after the last comes the first. */
function rowsOf(bytes: Uint8Array, length: number, first: number, count: number): Uint8Array {
  const end = (first + count) * length;
  if (end <= bytes.length) return bytes.subarray(first * length, end);
  const rows = new Uint8Array(count * length);
  rows.set(bytes.subarray(first * length));
  rows.set(bytes.subarray(0, end - bytes.length), bytes.length - first * length);
  return rows;
}

/** As `trainingStep`, in so many parts. */
export async function accumulatedStep(
  model: Model,
  optimizer: Optimizer,
  mean: Tensor,
  step: Step,
  parts: number,
): Promise<StepResult> {
  const whole = step.labels.length;
  const all = partsOf(step, parts);
  // Padding changes no gradient, but would change running statistics.
  const counting = all.filter(({ valid }) => valid > 0);
  const results = counting.map(({ first, ...part }, i) => {
    const tape = new Tape(mean.backend, { part: { first, whole } });
    const learnt = forwardBackward(tape, model, mean, part, { weight: part.valid / step.valid });
    if (i === counting.length - 1) optimizer.step(step.rateOf, step.done);
    const result = readResult(learnt);
    tape.release();
    return result;
  });
  const padding = all.slice(counting.length).map(({ seen }) => new Float32Array(seen!));
  return joined([...(await Promise.all(results)), ...padding.map((zeros) => ({ losses: zeros, ranks: zeros }))]);
}

/** The results of parts, one after the other. */
export function joined(results: readonly StepResult[]): StepResult {
  const join = (arrays: readonly Float32Array[]) => {
    const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const array of arrays) {
      all.set(array, at);
      at += array.length;
    }
    return all;
  };
  return { losses: join(results.map(({ losses }) => losses)), ranks: join(results.map(({ ranks }) => ranks)) };
}
