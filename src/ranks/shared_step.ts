/** A data-parallel training step: each rank has some of the images, and the gradients are summed over all ranks. */
import type { Share } from "../data/share.ts";
import { Tape } from "../engine/tape.ts";
import type { Tensor } from "../engine/tensor.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { forwardBackward } from "../net/passes.ts";
import { joined, partsOf } from "../training/later/accumulate.ts";
import { readResult, type Step, type StepResult } from "../training/step.ts";
import { Gradients } from "./gradients.ts";
import { whileBlocking, type Ranks } from "./ranks.ts";

/** A step that this rank does a share of. */
export interface SharedStep extends Step {
  /** This rank's images of the batch. */
  readonly share: Share;
  /** How many images the batch has, and how many of them count. */
  readonly whole: { readonly images: number; readonly valid: number };
  /** How many parts this rank's images go through the network in; 1 if not given. */
  readonly parts?: number;
  /** Whether this rank wants to stop. */
  readonly stop: boolean;
}

export interface SharedResult extends StepResult {
  /** Whether any rank wants to stop. */
  readonly stop: boolean;
}

/**
 * Forward and backward pass over this rank's images, with gradients summed over the ranks on the way, and the update.
 * Resolves when the update is queued; `result` follows, is that of the whole batch, and is the same on every rank.
 */
export async function sharedStep(
  model: Model,
  optimizer: Optimizer,
  mean: Tensor,
  step: SharedStep,
  ranks: Ranks,
): Promise<{ readonly result: Promise<SharedResult> }> {
  const { share, whole, parts = 1, stop } = step;
  const gradients = new Gradients(ranks, mean.backend);
  const results: Promise<StepResult>[] = [];
  await whileBlocking(ranks, () => {
    for (const [i, { first, ...part }] of partsOf(step, parts).entries()) {
      const tape = new Tape(mean.backend, {
        part: { first: share.first + first, whole: whole.images },
        allReduce: (sums) => ranks.sumNow(sums),
      });
      const learnt = forwardBackward(tape, model, mean, part, {
        weight: part.valid / whole.valid,
        // Before the last part, no gradient is complete.
        ...(i === parts - 1 && { onGradient: (parameter) => gradients.add(parameter) }),
      });
      results.push(readResult(learnt));
      tape.release();
    }
  });
  gradients.flush();
  // Each rank adds its results to an array of zeros, so the sum holds those of all ranks unchanged.
  const all = new Float32Array(2 * whole.images + 1);
  const filled = Promise.all(results).then((parts) => {
    const { losses, ranks: places } = joined(parts);
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
  // The same failure is reported where the gradients are awaited.
  result.catch(() => {});
  await gradients.done();
  optimizer.step(step.rateOf, step.done);
  mean.backend.flush();
  return { result };
}
