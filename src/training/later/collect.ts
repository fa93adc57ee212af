/** Passes images through the layers before the last, and collects what comes out. */
import { testViews } from "../../data/augmentation.ts";
import { createLoader } from "../../data/loader.ts";
import { DataError } from "../../errors.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { activations } from "../../inference/forward.ts";
import type { Model } from "../../net/model.ts";
import { plural } from "../../words.ts";
import type { Records, Session } from "../session.ts";
import type { FeatureSet } from "./feature_set.ts";

/** Images of a pass, where the device has memory for them. */
const BATCH = 32;

export interface PassOptions {
  /** Images of a step's pass: those of a pass here are no more. */
  readonly batch: number;
  readonly train: Records;
  readonly val: Records;
  readonly seed: number;
  /** The run's folder, for what doesn't fit in memory. */
  readonly folder: string;
  readonly signal?: AbortSignal;
  readonly progress: (done: number, total: number) => void;
  readonly onBad: (name: string, reason: string) => void;
}

/** What passes over a session's images need to know of it. */
export function passesOf({ train, val, config, run, report, signal }: Session): PassOptions {
  return {
    ...{ train, val, batch: config.batch, seed: config.seed, folder: run.path },
    ...(signal && { signal }),
    progress: (done, total) => report({ type: "features", done, total }),
    onBad: (name, reason) => report({ type: "bad", name, reason }),
  };
}

/** A function that adds a view of each image to a set, until all are there or `isOver`. */
export function collector(
  model: Model,
  mean: Tensor,
  count: number,
  { batch: most, signal, progress, onBad }: PassOptions,
) {
  const { record, resize, crop } = model.network;
  return async (
    { dataset, cache }: Records,
    samples: Uint32Array,
    view: number,
    to: FeatureSet,
    isOver: () => boolean,
  ): Promise<void> => {
    const batch = Math.min(BATCH, most, samples.length);
    const views = testViews(2, batch, record, crop)[view]!;
    const loader = createLoader(dataset, {
      ...{ batch, recordSize: record, resize, samples, cache, onBad },
    });
    for await (const { pixels, indices, labels, valid } of loader) {
      if (signal?.aborted) return;
      const rows = await activations(model, mean, { pixels, views }, count);
      to.add(rows.subarray(0, valid * to.size), indices.subarray(0, valid), labels.subarray(0, valid));
      progress(to.length, samples.length * (view + 1));
      if (isOver()) return;
    }
    if (to.length > 0) return;
    throw new DataError(
      `${dataset.name}: none of its ${plural(samples.length, "image")} can be used, first ${loader.bad[0]}`,
    );
  };
}
