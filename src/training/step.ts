/** A training step on one device. */
import type { CrossEntropy } from "../engine/ops/softmax_cross_entropy.ts";
import { Tape } from "../engine/tape.ts";
import type { Tensor } from "../engine/tensor.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { forwardBackward, type TrainingBatch } from "../net/passes.ts";

export interface Step extends TrainingBatch {
  /** The learning rate of each layer. */
  rateOf(layer: string): number;
  /** The share of the training that is completed with this step; 0 if not given. */
  readonly done?: number | undefined;
}

export interface StepResult {
  /**
   * For each image that is seen: its loss, and how many classes were more probable than the right one. The loss of a
   * mixed image is that of both labels; its right class is its own.
   */
  readonly losses: Float32Array;
  readonly ranks: Float32Array;
}

/**
 * Forward, backward, update. All of it is queued when this returns, so the next step can be queued behind it; resolves
 * when the device is done.
 */
export async function trainingStep(model: Model, optimizer: Optimizer, mean: Tensor, step: Step): Promise<StepResult> {
  const tape = new Tape(mean.backend);
  const learnt = forwardBackward(tape, model, mean, step);
  optimizer.step(step.rateOf, step.done);
  const results = readResult(learnt);
  tape.release();
  return results;
}

export async function readResult({ losses, ranks }: CrossEntropy): Promise<StepResult> {
  const [lossValues, rankValues] = await Promise.all([losses.read(), ranks.read()]);
  return { losses: lossValues as Float32Array, ranks: rankValues as Float32Array };
}
