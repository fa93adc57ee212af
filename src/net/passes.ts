/** The two things that are done with a batch: a training step, and a forward pass. */
import type { Backend } from "../engine/backend.ts";
import { augment, VIEW_LENGTH } from "../engine/ops/augment.ts";
import { softmaxCrossEntropy } from "../engine/ops/softmax_cross_entropy.ts";
import { Tape, type BackwardOptions } from "../engine/tape.ts";
import { Tensor } from "../engine/tensor.ts";
import { Purpose, streamKey } from "../random.ts";
import type { Pass } from "./layers.ts";
import type { Model } from "./model.ts";
import type { Optimizer } from "./optimizer.ts";

/** Decoded images on their way to the device. */
export interface Images {
  /** N × S × S × 3 bytes. */
  readonly pixels: Uint8Array;
  /** N × `VIEW_LENGTH`: what of each image is to be seen, as src/engine/ops/augment.ts says. */
  readonly views: Float32Array;
  /** How many of them become the network's input, all if not given; those behind are there for others to be mixed with. */
  readonly seen?: number;
}

/** The mean image on the device, S × S × 3; it lives as long as the backend. */
export function uploadMean(backend: Backend, side: number, mean: Float32Array): Tensor {
  const buffer = backend.allocate("f32", mean.length);
  backend.write(buffer, mean);
  return new Tensor(backend, [side, side, 3], buffer);
}

/** Second labels of mixed images. */
export interface MixedLabels {
  /** The class of the image that each is mixed with, N. */
  readonly others: Uint32Array;
  /** How much of each image is its own: the share of its own label, N. */
  readonly shares: Float32Array;
}

/** What the loss is computed of, beside the logits. */
export interface LossLabels {
  /** The class numbers of the images that are seen. */
  readonly labels: Uint32Array;
  /** The second labels of images that are mixed with others. */
  readonly mixed?: MixedLabels;
  /** The part of each label that is spread over all classes. */
  readonly smoothing?: number;
  /** How many of the images that are seen count; the rest fill up the last batch. */
  readonly valid: number;
}

export interface Step extends Images, LossLabels {
  /** Steps done before this one, which the dropout masks depend on. */
  readonly step: number;
  readonly seed: number;
  /** The learning rate of each layer. */
  rateOf(layer: string): number;
}

export interface StepResult {
  /**
   * Of each image that is seen: its loss, and how many classes were more probable than the right one. Of mixed images
   * the loss is that of both labels, and the right class is that of the first.
   */
  readonly losses: Float32Array;
  readonly ranks: Float32Array;
}

/**
 * Forward, backward, update. All of it is queued when this returns, so that the next step can be queued behind it;
 * resolves when the device has done it.
 */
export async function trainingStep(model: Model, optimizer: Optimizer, mean: Tensor, step: Step): Promise<StepResult> {
  const tape = new Tape(mean.backend);
  const learnt = learn(tape, model, mean, step);
  optimizer.step(step.rateOf);
  const results = readResult(learnt);
  tape.release();
  return results;
}

/** Queues forward and backward pass. */
export function learn(tape: Tape, model: Model, mean: Tensor, step: Step, backward?: BackwardOptions): Learnt {
  // All that is written comes before the first kernel: a write ends what a GPU can be given at once.
  const lossOf = loss(tape, step);
  const x = imagesOf(tape, model, mean, step);
  const learnt = lossOf(model.forward(x, passOf(step)));
  tape.backward(learnt.loss, backward);
  return learnt;
}

/** A step's result on the device. */
export type Learnt = Readonly<Record<"loss" | keyof StepResult, Tensor>>;

/** Training, with the dropout masks of this step. */
export function passOf({ seed, step }: Step): Pass {
  return { training: true, dropoutKey: (layer) => streamKey(seed, Purpose.dropout, step, layer) };
}

/** Writes the labels of a step. @returns what computes its loss from logits, classes × N */
export function loss(tape: Tape, { labels, mixed, smoothing, valid }: LossLabels): (logits: Tensor) => Learnt {
  const classes = tape.input([labels.length], labels);
  const mix = mixed && {
    others: tape.input([mixed.others.length], mixed.others),
    shares: tape.input([mixed.shares.length], mixed.shares),
  };
  const options = { ...(mix && { mix }), ...(smoothing !== undefined && { smoothing }) };
  return (logits) => softmaxCrossEntropy(logits, classes, valid, options);
}

export async function readResult({ losses, ranks }: Learnt): Promise<StepResult> {
  const [lossValues, rankValues] = await Promise.all([losses.read(), ranks.read()]);
  return { losses: lossValues as Float32Array, ranks: rankValues as Float32Array };
}

/** The softmax outputs, classes × N, averaged over several views of the same images [P §4.1]. */
export async function probabilities(
  model: Model,
  mean: Tensor,
  pixels: Uint8Array,
  views: readonly Float32Array[],
): Promise<Float64Array> {
  const images = views[0]!.length / VIEW_LENGTH;
  const sums = new Float64Array(model.classes * images);
  for (const view of views) {
    const tape = new Tape(mean.backend, { record: false });
    const logits = model.forward(imagesOf(tape, model, mean, { pixels, views: view }));
    const values = (await logits.read()) as Float32Array;
    tape.release();
    addSoftmax(sums, values, images);
  }
  return sums.map((sum) => sum / views.length);
}

/**
 * What comes out of the first `count` layers, image after image: N × all numbers of an image, in the order of channel,
 * row and column.
 */
export async function activations(model: Model, mean: Tensor, images: Images, count: number): Promise<Float32Array> {
  const tape = new Tape(mean.backend, { record: false });
  const x = imagesOf(tape, model, mean, images);
  const values = (await (model.outputs(x, undefined, count).at(-1) ?? x).read()) as Float32Array;
  tape.release();
  const n = images.views.length / VIEW_LENGTH;
  const each = values.length / n;
  const rows = new Float32Array(values.length);
  for (let i = 0; i < each; i++) for (let k = 0; k < n; k++) rows[k * each + i] = values[i * n + k]!;
  return rows;
}

/** What goes into a network, 3 × crop × crop × N: the views of the images that are seen, less the mean. */
export function imagesOf(tape: Tape, model: Model, mean: Tensor, { pixels, views, seen }: Images): Tensor {
  const side = model.network.record;
  const images = views.length / VIEW_LENGTH;
  return augment(
    tape.input([images, side, side, 3], pixels),
    tape.input([images, VIEW_LENGTH], views),
    mean,
    model.network.crop,
    seen,
  );
}

/** Adds the softmax of each column of K × N logits. */
function addSoftmax(sums: Float64Array, logits: Float32Array, images: number): void {
  for (let n = 0; n < images; n++) {
    let max = -Infinity;
    let total = 0;
    for (let i = n; i < logits.length; i += images) max = Math.max(max, logits[i]!);
    for (let i = n; i < logits.length; i += images) total += Math.exp(logits[i]! - max);
    for (let i = n; i < logits.length; i += images) sums[i]! += Math.exp(logits[i]! - max) / total;
  }
}
