/**
 * How far a network's probabilities can be trusted: of the answers that it gives 80% to, 80% should be right. One
 * number, the temperature by which all logits are divided, sets that right for the most part (Guo et al. 2017, arXiv
 * 1706.04599). Which class is most probable stays the same.
 */
import type { Bin } from "../weights/calibration.ts";

/** Logits of images, and their classes. */
export interface LabelledLogits {
  /** Images × classes. */
  readonly logits: Float32Array;
  readonly labels: Uint32Array;
}

/** Temperatures from 1 / 20 to 20: beyond them the logits say nothing, or nothing else. */
const RANGE = 20;
/** Halvings of the range; its ends are then less than 0.003% apart. */
const HALVINGS = 18;

/**
 * The temperature with the lowest negative log-likelihood.
 *
 * If all images are right, that would be 0, as if no image ever could be wrong. So each label has the probability
 * (n + 1) / (n + 2) for n images, and the others share the rest (Platt 1999, by Laplace's rule of succession).
 */
export function fitTemperature({ logits, labels }: LabelledLogits): number {
  const images = labels.length;
  const classes = logits.length / images;
  const rest = 1 / (images + 2) / (classes - 1);
  let target = 0;
  for (const [n, label] of labels.entries()) {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    target += (1 - rest * classes) * row[label]! + rest * row.reduce((sum, logit) => sum + logit, 0);
  }
  // Convex in 1 / T: its slope, the expected logit minus that of the labels, changes sign once.
  const slope = (inverse: number) => {
    let expected = 0;
    for (let n = 0; n < images; n++)
      expected += expectedLogit(logits.subarray(n * classes, (n + 1) * classes), inverse);
    return expected - target;
  };
  let [low, high] = [-Math.log(RANGE), Math.log(RANGE)];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (slope(Math.exp(middle)) < 0) low = middle;
    else high = middle;
  }
  return Math.exp(-(low + high) / 2);
}

/** The mean of logits, weighted by the softmax of logits × inverse. */
function expectedLogit(row: Float32Array, inverse: number): number {
  const max = row.reduce((most, logit) => Math.max(most, logit), -Infinity);
  let [sum, weights] = [0, 0];
  for (const logit of row) {
    const weight = Math.exp((logit - max) * inverse);
    sum += weight * logit;
    weights += weight;
  }
  return sum / weights;
}

/** As in the paper. */
const BINS = 15;

/** The images in 15 bins by the probability of their most probable class; bins without images are left out. */
export function binsOf({ logits, labels }: LabelledLogits, temperature: number): Bin[] {
  const classes = logits.length / labels.length;
  const bins = Array.from({ length: BINS }, () => ({ images: 0, right: 0, sum: 0 }));
  for (const [n, label] of labels.entries()) {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    let best = 0;
    for (let k = 1; k < classes; k++) if (row[k]! > row[best]!) best = k;
    const confidence = 1 / row.reduce((sum, logit) => sum + Math.exp((logit - row[best]!) / temperature), 0);
    const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))]!;
    bin.images++;
    bin.sum += confidence;
    if (best === label) bin.right++;
  }
  return bins
    .filter(({ images }) => images > 0)
    .map(({ images, right, sum }) => ({ images, right, confidence: sum / images }));
}

/**
 * The expected calibration error: how far the probability of the most probable class is from the share of right
 * answers in each bin, weighted by its images.
 */
export function calibrationError(bins: readonly Bin[]): number {
  const all = bins.reduce((sum, { images }) => sum + images, 0);
  return bins.reduce((sum, { images, right, confidence }) => sum + Math.abs(images * confidence - right), 0) / all;
}
