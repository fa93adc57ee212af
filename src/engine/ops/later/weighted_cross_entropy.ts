/**
 * Softmax and cross-entropy with a weight for each class, for sets whose classes are uneven:
 *
 *   t[k, n]   as in softmax_cross_entropy.ts
 *   losses[n] = −Σ_k w[k] · t[k, n] · log p[k, n], 0 from image `valid` on
 *   loss      = Σ_n losses[n] / valid
 *   dz[k, n]  = (p[k, n] · Σ_j w[j] · t[j, n] − w[k] · t[k, n]) · dloss / valid, 0 from image `valid` on
 *
 * w: K. PyTorch's CrossEntropyLoss(weight=w) divides by the sum of the labels' weights instead of their number: weights
 * multiplied by valid / Σ_n w[label n] give that (src/net/later/loss_weights.ts).
 */
import { ShapeError } from "../../../errors.ts";
import { kernel, line } from "../../kernel.ts";
import { format, type Tensor } from "../../tensor.ts";
import {
  checkTargets,
  crossEntropyForward,
  crossEntropyMean,
  targetOf,
  UNIFORMS,
  type CrossEntropy,
  type Targets,
} from "../softmax_cross_entropy.ts";
import forwardWgsl from "../../../../kernels/wgsl/weighted_cross_entropy_forward.wgsl" with { type: "text" };
import backwardWgsl from "../../../../kernels/wgsl/weighted_cross_entropy_backward.wgsl" with { type: "text" };

/**
 * @param logits K × N (or any shape whose last dimension is N)
 * @param labels N class indices below K, of type u32
 * @param weights K factors
 * @param valid number of images that count, from the first on; all by default
 * @param options how targets differ from the labels
 * @throws ShapeError when the shapes don't fit, or a label is no class index; UsageError for an unknown option
 */
export function weightedCrossEntropy(
  logits: Tensor,
  labels: Tensor<"u32">,
  weights: Tensor,
  valid?: number,
  options: Targets = {},
): CrossEntropy {
  const op = "weightedCrossEntropy";
  const { tape, targets, uniforms } = checkTargets(op, logits, labels, valid, options, { weights });
  const { classes, images } = uniforms;
  if (weights.size !== classes) {
    throw new ShapeError(
      `${op}: logits ${format(logits.shape)}, weights ${format(weights.shape)}: need one for each of the ${classes} classes`,
    );
  }
  const p = tape.allocate(logits.shape);
  const losses = tape.allocate([images]).keep();
  const ranks = tape.allocate([images]).keep();
  const sums = tape.allocate([images]);
  const loss = tape.allocate([1]);
  const { backend } = logits;
  const [z, w] = [logits.buffer, weights.buffer];
  // −log p of the labels, and how many classes come before each.
  const plain = { ...targets, others: targets.labels, p: p.buffer, losses: losses.buffer, ranks: ranks.buffer };
  backend.run(crossEntropyForward, { z, ...plain }, { ...uniforms, valid: images, smoothing: 0 });
  backend.run(weightedForward, { z, ...targets, w, losses: losses.buffer, sums: sums.buffer }, uniforms);
  backend.run(crossEntropyMean, { losses: losses.buffer, loss: loss.buffer }, { images, valid: uniforms.valid });
  tape.record({
    inputs: [logits],
    output: loss,
    saved: [p, sums],
    backward: (dloss) =>
      tape.accumulate(logits, (dz) => {
        const from = { p: p.buffer, ...targets, w, sums: sums.buffer, dloss: dloss.buffer };
        backend.run(weightedBackward, { ...from, dz: dz.buffer }, uniforms);
      }),
  });
  return { loss, losses, ranks };
}

const common = { module: import.meta.url, uniforms: UNIFORMS } as const;

export const weightedForward = kernel({
  ...common,
  name: "weighted_cross_entropy_forward",
  wgsl: forwardWgsl,
  buffers: {
    ...{ z: "read", labels: "read u32", others: "read u32", shares: "read", w: "read" },
    ...{ losses: "update", sums: "write" },
  },
  workgroups: ({ images }) => line(images),
  reference({ z, labels, others, shares, w, losses, sums }, { classes, images, valid, smoothing }) {
    for (let n = 0; n < images; n++) {
      const [right, other] = [labels[n]!, others[n]!];
      const top = z[right * images + n]! + losses[n]!;
      let sum = w[right]!;
      let loss = w[right]! * losses[n]!;
      if (other !== right) {
        const share = shares[n]!;
        sum = share * sum + (1 - share) * w[other]!;
        loss = share * loss + (1 - share) * w[other]! * (top - z[other * images + n]!);
      }
      if (smoothing > 0) {
        let [allWeights, allLosses] = [0, 0];
        for (let k = 0; k < classes; k++) {
          allWeights += w[k]!;
          allLosses += w[k]! * (top - z[k * images + n]!);
        }
        sum = (1 - smoothing) * sum + (smoothing / classes) * allWeights;
        loss = (1 - smoothing) * loss + (smoothing / classes) * allLosses;
      }
      losses[n] = n < valid ? loss : 0;
      sums[n] = sum;
    }
  },
});

export const weightedBackward = kernel({
  ...common,
  name: "weighted_cross_entropy_backward",
  wgsl: backwardWgsl,
  buffers: {
    ...{ p: "read", labels: "read u32", others: "read u32", shares: "read", w: "read", sums: "read" },
    ...{ dloss: "read", dz: "write" },
  },
  workgroups: ({ classes, images }) => line(classes * images),
  reference({ p, labels, others, shares, w, sums, dloss, dz }, { classes, images, valid, smoothing }) {
    for (let k = 0; k < classes; k++) {
      for (let n = 0; n < images; n++) {
        const target = targetOf(k, labels[n]!, others[n]!, shares[n]!, smoothing, classes);
        const slope = p[k * images + n]! * sums[n]! - w[k]! * target;
        dz[k * images + n] = n < valid ? (slope * dloss[0]!) / valid : 0;
      }
    }
  },
});
