/** A training step that several ranks share: each has some of the images, and all have the sum of the gradients. */
import type { Share } from "../data/share.ts";
import { Tape } from "../engine/tape.ts";
import type { Tensor } from "../engine/tensor.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { forwardBackward } from "../net/passes.ts";
import { readResult, type Step, type StepResult } from "../training/step.ts";
import { Gradients } from "./gradients.ts";
import type { Ranks } from "./ranks.ts";

/** A step of which this rank has a share. */
export interface SharedStep extends Step {
  /** The images of the batch that are this rank's. */
  readonly share: Share;
  /** How many images the batch has, and how many of them count. */
  readonly whole: { readonly images: number; readonly valid: number };
  /** Whether this rank wants to stop. */
  readonly stop: boolean;
}

export interface SharedResult extends StepResult {
  /** Whether any rank wants to stop. */
  readonly stop: boolean;
}

/**
 * A step of all ranks: forward and backward over the own images, gradients summed over the ranks on the way, update. What
 * it resolves to comes when the update is queued; `result`, that of the whole batch and the same on every rank, later.
 */
export async function sharedStep(
  model: Model,
  optimizer: Optimizer,
  mean: Tensor,
  step: SharedStep,
  ranks: Ranks,
): Promise<{ readonly result: Promise<SharedResult> }> {
  const { share, whole, valid, stop } = step;
  const gradients = new Gradients(ranks, mean.backend);
  const tape = new Tape(mean.backend, { part: { first: share.first, whole: whole.images } });
  const learnt = forwardBackward(tape, model, mean, step, {
    weight: valid / whole.valid,
    onGradient: (parameter) => gradients.add(parameter),
  });
  gradients.flush();
  // Everyone adds his images to an array of zeros, so that the sum has them all as they are.
  const all = new Float32Array(2 * whole.images + 1);
  const filled = readResult(learnt).then(({ losses, ranks: places }) => {
    all.set(losses, share.first);
    all.set(places, whole.images + share.first);
    all[2 * whole.images] = stop ? 1 : 0;
    return [all];
  });
  const result = ranks.sum(filled).then(() => ({
    losses: all.subarray(0, whole.images),
    ranks: all.subarray(whole.images, 2 * whole.images),
    stop: all[2 * whole.images]! > 0,
  }));
  // Whoever waits for the gradients hears of the same failure.
  result.catch(() => {});
  tape.release();
  await gradients.done();
  optimizer.step(step.rateOf);
  mean.backend.flush();
  return { result };
}
