/** Weights of classes in the loss, as PyTorch's CrossEntropyLoss(weight=…) has them. */
import type { LossLabels } from "../passes.ts";

/**
 * The weights for a batch: multiplied so that the mean over its images is the sum of the weighted losses divided by the
 * sum of the labels' weights. A mixed image has the weights of both its labels, by their shares.
 * @param weights a factor for each class; undefined if all count alike
 */
export function weightsOfBatch(
  weights: readonly number[] | undefined,
  { labels, mixed, valid }: LossLabels,
): Pick<LossLabels, "classWeights"> {
  if (!weights) return {};
  let total = 0;
  for (let n = 0; n < valid; n++) {
    const own = weights[labels[n]!]!;
    total += mixed ? mixed.shares[n]! * own + (1 - mixed.shares[n]!) * weights[mixed.others[n]!]! : own;
  }
  // A batch that has only classes of weight 0 teaches nothing.
  const factor = total === 0 ? 0 : valid / total;
  return { classWeights: Float32Array.from(weights, (weight) => factor * weight) };
}
