/** How many epochs a training has time for, on this device and with these images. */
import { centreView } from "../../data/augmentation.ts";
import { createLoader } from "../../data/loader.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { activations } from "../../inference/forward.ts";
import type { Model } from "../../net/model.ts";
import { forwardBackward } from "../../net/passes.ts";
import type { Records } from "../session.ts";
import { calibrationImages } from "./calibrate.ts";

/** Steps that are timed, after one in which kernels are compiled and chosen. */
const STEPS = 3;
/** A training that takes longer than was asked for is worse than one epoch fewer. */
const MARGIN = 0.95;

export interface Pace {
  /** Of an epoch with its validation, in milliseconds. */
  readonly epochMs: number;
  /** Of what follows the last epoch. */
  readonly afterMs: number;
}

interface PaceOptions {
  readonly train: Records;
  readonly val: Records;
  /** Images of a step, and of an epoch. */
  readonly batch: number;
  readonly epochImages: number;
}

/**
 * Times a few steps that change nothing.
 * @param mean the mean image on the device
 */
export async function measurePace(
  model: Model,
  mean: Tensor,
  { train, val, batch, epochImages }: PaceOptions,
): Promise<Pace> {
  const { record, resize, crop } = model.network;
  const views = centreView(batch, record, crop);
  // Wraps around where there are few images.
  const samples = Uint32Array.from({ length: (1 + STEPS) * batch }, (_, i) => i % train.dataset.length);
  const loader = createLoader(train.dataset, {
    ...{ batch, recordSize: record, resize, samples, cache: train.cache },
  });
  const kept = await Promise.all(model.state.map(async (tensor) => await tensor.read()));
  let [step, trained, seen] = [0, 0, 0];
  for await (const { pixels, labels, valid } of loader) {
    const start = performance.now();
    const tape = new Tape(mean.backend);
    const { loss } = forwardBackward(tape, model, mean, { ...{ pixels, views, labels, valid, step }, seed: 0 });
    await loss.read();
    tape.release();
    const middle = performance.now();
    await activations(model, mean, { pixels, views }, model.layers.length);
    if (step++ === 0) continue;
    trained += middle - start;
    seen += performance.now() - middle;
  }
  for (const [i, tensor] of model.state.entries()) tensor.backend.write(tensor.buffer, kept[i]!);
  for (const parameter of model.parameters) parameter.grad = undefined;
  const steps = Math.ceil(epochImages / batch);
  return {
    epochMs: (steps * trained + (val.dataset.length / batch) * seen) / STEPS,
    afterMs: ((calibrationImages({ train, val }) / batch) * seen) / STEPS,
  };
}

/** The number of epochs that fit into `ms`. */
export const epochsWithin = (ms: number, { epochMs, afterMs }: Pace): number =>
  Math.max(0, Math.floor((MARGIN * ms - afterMs) / epochMs));

/**
 * Keeps to a time limit on a device that becomes slower.
 * @param ms what the epochs may take, with their validations
 * @returns to be called after each epoch, from the first on, with the number of those done and what this one took: how
 * many there is time for in all
 */
export function withinLimit(ms: number): (done: number, epochMs: number) => number {
  let spent = 0;
  return (done, epochMs) => {
    spent += epochMs;
    return done + Math.max(0, Math.floor((ms - spent) / (spent / done)));
  };
}
