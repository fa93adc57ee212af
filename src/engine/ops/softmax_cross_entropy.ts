/**
 * Softmax and cross-entropy, the loss of paper §3.5, averaged over the valid images of a batch:
 *
 *   p[k, n]   = exp(z[k, n] − max z) / Σ_j exp(z[j, n] − max z)
 *   t[k, n]   = (1 − smoothing) · (share · [k = label n] + (1 − share) · [k = other n]) + smoothing / K
 *   losses[n] = −Σ_k t[k, n] · log p[k, n], 0 from image `valid` on (the last batch of an epoch is padded)
 *   loss      = Σ_n losses[n] / valid
 *   dz[k, n]  = (p[k, n] − t[k, n]) · dloss / valid, 0 from image `valid` on
 *   ranks[n]  = number of classes more probable than label n: below 1 is top-1 correct, below 5 top-5
 *
 * z, p: K × N; labels, others, shares, losses, ranks: N; loss: 1. In the paper t is 1 for the label and 0 for the rest;
 * smoothing is that of Szegedy et al. 2015; others are the second labels of mixed images (Zhang et al. 2017). Where
 * other and label are the same, the share is ignored. Classes tied with the right one count as more probable if they
 * come before it, so that a net that rates all classes the same is right only by chance. A NaN logit makes the loss and
 * every p of its image NaN, and counts as the largest, as in PyTorch, tied with other NaNs.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireNumber, requireWhole, type OptionKinds } from "../../options.ts";
import { checkInputs, tapeFor } from "../inputs.ts";
import { kernel, line } from "../kernel.ts";
import { format, type Tensor } from "../tensor.ts";
import forwardWgsl from "../../../kernels/wgsl/softmax_cross_entropy_forward.wgsl" with { type: "text" };
import meanWgsl from "../../../kernels/wgsl/softmax_cross_entropy_mean.wgsl" with { type: "text" };
import backwardWgsl from "../../../kernels/wgsl/softmax_cross_entropy_backward.wgsl" with { type: "text" };

export interface CrossEntropy {
  /** The mean loss, a scalar; the argument for backward(). */
  readonly loss: Tensor;
  /** The loss of each image: N. */
  readonly losses: Tensor;
  /** For each image, the number of classes more probable than the right one: N. */
  readonly ranks: Tensor;
}

export interface Targets {
  /** Label smoothing: the share of each target that is spread over all classes, 0 … 1. */
  readonly smoothing?: number;
  /** Of mixed images: second labels, N, and the share of each first label, N, 0 … 1. */
  readonly mix?: { readonly others: Tensor<"u32">; readonly shares: Tensor };
}

const TARGETS: OptionKinds<Targets> = { smoothing: "number?", mix: "object?" };
const MIX: OptionKinds<NonNullable<Targets["mix"]>> = { others: "object", shares: "object" };

/**
 * @param logits K × N (or any shape whose last dimension is N)
 * @param labels N class indices below K
 * @param valid number of images that count, from the first on; all by default
 * @param options how targets differ from the labels
 * @throws ShapeError when the shapes don't fit, or a label is no class index; UsageError for an unknown option
 */
export function softmaxCrossEntropy(
  logits: Tensor,
  labels: Tensor<"u32">,
  valid?: number,
  options: Targets = {},
): CrossEntropy {
  const { tape, targets, uniforms } = checkTargets("softmaxCrossEntropy", logits, labels, valid, options);
  const { images } = uniforms;
  const p = tape.allocate(logits.shape);
  const losses = tape.allocate([images]).keep();
  const ranks = tape.allocate([images]).keep();
  const loss = tape.allocate([1]);
  const { backend } = logits;
  backend.run(
    crossEntropyForward,
    { z: logits.buffer, ...targets, p: p.buffer, losses: losses.buffer, ranks: ranks.buffer },
    uniforms,
  );
  backend.run(crossEntropyMean, { losses: losses.buffer, loss: loss.buffer }, { images, valid: uniforms.valid });
  tape.record({
    inputs: [logits],
    output: loss,
    saved: [p],
    backward: (dloss) =>
      tape.accumulate(logits, (dz) =>
        backend.run(crossEntropyBackward, { p: p.buffer, ...targets, dloss: dloss.buffer, dz: dz.buffer }, uniforms),
      ),
  });
  return { loss, losses, ranks };
}

/**
 * Checks what a loss is computed from, for `op`.
 * @param others tensors that only this op takes
 * @returns the tape, and what the kernels need
 */
export function checkTargets(
  op: string,
  logits: Tensor,
  labels: Tensor<"u32">,
  valid: number | undefined,
  options: Targets,
  others: Readonly<Record<string, Tensor>> = {},
) {
  checkOptions(op, options, TARGETS);
  const { smoothing = 0, mix } = options;
  if (mix) checkOptions(`${op}, mix`, mix, MIX);
  const tape = tapeFor(op, { logits, labels, ...mix, ...others }, { labels: "any", others: "any", shares: "any" });
  const images = logits.shape.at(-1) ?? 0;
  const classes = logits.size / images;
  if (labels.size !== images || labels.buffer.type !== "u32") {
    throw new ShapeError(
      `${op}: logits ${format(logits.shape)}, labels ${format(labels.shape)} of type ` +
        `${labels.buffer.type}: need one u32 label for each of the ${images} images`,
    );
  }
  if (mix && (mix.others.size !== images || mix.others.buffer.type !== "u32" || mix.shares.size !== images)) {
    throw new ShapeError(
      `${op}: logits ${format(logits.shape)}, other labels ${format(mix.others.shape)} of type ` +
        `${mix.others.buffer.type}, shares ${format(mix.shares.shape)}: need one of each for each of the ${images} images`,
    );
  }
  if (mix) checkInputs(op, { shares: mix.shares });
  requireNumber(op, { smoothing }, 0, 1);
  requireWhole(op, { valid: valid ?? images }, 0);
  if (valid !== undefined && valid > images) {
    throw new ShapeError(`${op}: valid is ${valid}, must be at most the number of images, ${images}`);
  }
  for (const largest of [labels.largest, mix?.others.largest]) {
    if (largest === undefined || largest < classes) continue;
    throw new ShapeError(
      `${op}: label ${largest}, but the logits have ${classes} classes: labels must be 0 … ${classes - 1}`,
    );
  }
  const uniforms = { classes, images, valid: valid ?? images, smoothing };
  const targets = {
    labels: labels.buffer,
    others: (mix?.others ?? labels).buffer,
    // Without mixed images no share is read, but something must be bound.
    shares: (mix?.shares ?? logits).buffer,
  };
  return { tape, targets, uniforms };
}

/** Of the kernels of all cross-entropies. */
export const UNIFORMS = { classes: "u32", images: "u32", valid: "u32", smoothing: "f32" } as const;

export const crossEntropyForward = kernel({
  name: "softmax_cross_entropy_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: {
    z: "read",
    labels: "read u32",
    others: "read u32",
    shares: "read",
    p: "write",
    losses: "write",
    ranks: "write",
  },
  uniforms: UNIFORMS,
  // Eight images per workgroup.
  workgroups: ({ images }) => line(images, 8),
  reference({ z, labels, others, shares, p, losses, ranks }, { classes, images, valid, smoothing }) {
    for (let n = 0; n < images; n++) {
      const [right, other] = [labels[n]!, others[n]!];
      const rightLogit = z[right * images + n]!;
      let max = -Infinity;
      let rank = 0;
      for (let k = 0; k < classes; k++) {
        const logit = z[k * images + n]!;
        max = Math.max(max, logit);
        if (isBefore(logit, rightLogit, k < right)) rank++;
      }
      let sum = 0;
      for (let k = 0; k < classes; k++) sum += Math.exp(z[k * images + n]! - max);
      let below = 0;
      if (smoothing > 0) for (let k = 0; k < classes; k++) below += z[k * images + n]! - max;
      for (let k = 0; k < classes; k++) p[k * images + n] = Math.exp(z[k * images + n]! - max) / sum;
      const otherLogit = z[other * images + n]!;
      const wanted = other === right ? rightLogit : shares[n]! * rightLogit + (1 - shares[n]!) * otherLogit;
      const loss = Math.log(sum) - (1 - smoothing) * (wanted - max) - (smoothing / classes) * below;
      losses[n] = n < valid ? loss : 0;
      ranks[n] = rank;
    }
  },
});

/** Whether a class ranks before another; `first`: whether it does when tied. */
function isBefore(logit: number, other: number, first: boolean): boolean {
  if (Number.isNaN(logit) || Number.isNaN(other)) return Number.isNaN(logit) && (!Number.isNaN(other) || first);
  return logit > other || (logit === other && first);
}

export const crossEntropyMean = kernel({
  name: "softmax_cross_entropy_mean",
  module: import.meta.url,
  wgsl: meanWgsl,
  buffers: { losses: "read", loss: "write" },
  uniforms: { images: "u32", valid: "u32" },
  workgroups: () => [1, 1, 1],
  reference({ losses, loss }, { images, valid }) {
    let sum = 0;
    for (let n = 0; n < images; n++) sum += losses[n]!;
    loss[0] = sum / valid;
  },
});

/** t[k, n]: how much of an image class k is. */
export function targetOf(
  k: number,
  label: number,
  other: number,
  share: number,
  smoothing: number,
  classes: number,
): number {
  const even = smoothing / classes;
  if (k !== label && k !== other) return even;
  const wanted = label === other ? 1 : k === label ? share : 1 - share;
  return even + (1 - smoothing) * wanted;
}

export const crossEntropyBackward = kernel({
  name: "softmax_cross_entropy_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { p: "read", labels: "read u32", others: "read u32", shares: "read", dloss: "read", dz: "write" },
  uniforms: UNIFORMS,
  workgroups: ({ classes, images }) => line(classes * images),
  reference({ p, labels, others, shares, dloss, dz }, { classes, images, valid, smoothing }) {
    for (let k = 0; k < classes; k++) {
      for (let n = 0; n < images; n++) {
        const target = targetOf(k, labels[n]!, others[n]!, shares[n]!, smoothing, classes);
        dz[k * images + n] = n < valid ? ((p[k * images + n]! - target) * dloss[0]!) / valid : 0;
      }
    }
  },
});
