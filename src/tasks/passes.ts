/** The two things that are done with a batch: a training step, and a forward pass. */
import { Tape } from "../autograd/tape.ts";
import { Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backends/backend.ts";
import type { MixedLabels } from "../data/augmentation.ts";
import type { Model } from "../model/model.ts";
import { augment, VIEW_LENGTH } from "../ops/augment.ts";
import { softmaxCrossEntropy } from "../ops/softmax_cross_entropy.ts";
import type { Sgd } from "../optim/sgd.ts";
import { Purpose, streamKey } from "../random.ts";

/** Decoded images on their way to the device. */
export interface Images {
  /** N × S × S × 3 bytes. */
  readonly pixels: Uint8Array;
  /** N × `VIEW_LENGTH`: what of each image is to be seen, as src/ops/augment.ts says. */
  readonly views: Float32Array;
}

/** The mean image on the device, S × S × 3; it lives as long as the backend. */
export function uploadMean(backend: Backend, side: number, mean: Float32Array): Tensor {
  const buffer = backend.allocate("f32", mean.length);
  backend.write(buffer, mean);
  return new Tensor(backend, [side, side, 3], buffer);
}

export interface Step extends Images {
  /** N class numbers. */
  readonly labels: Uint32Array;
  /** The second labels of images that are mixed with others. */
  readonly mixed?: MixedLabels;
  /** The part of each label that is spread over all classes. */
  readonly smoothing?: number;
  /** How many of the N images count; the rest fill up the last batch. */
  readonly valid: number;
  /** Steps done before this one, which the dropout masks depend on. */
  readonly step: number;
  readonly seed: number;
  /** The learning rate of each layer. */
  rateOf(layer: string): number;
}

export interface StepResult {
  /**
   * Of each image, N: its loss, and how many classes were more probable than the right one. Of mixed images the loss is
   * that of both labels, and the right class is that of the first.
   */
  readonly losses: Float32Array;
  readonly ranks: Float32Array;
}

/**
 * Forward, backward, update. All of it is queued when this returns, so that the next step can be queued behind it;
 * resolves when the device has done it.
 */
export async function trainingStep(model: Model, sgd: Sgd, mean: Tensor, step: Step): Promise<StepResult> {
  const tape = new Tape(mean.backend);
  // All that is written comes before the first kernel: a write ends what a GPU can be given at once.
  const labels = tape.input([step.labels.length], step.labels);
  const { mixed } = step;
  const mix = mixed && {
    others: tape.input([mixed.others.length], mixed.others),
    shares: tape.input([mixed.shares.length], mixed.shares),
  };
  const x = input(tape, model, mean, step);
  const logits = model.forward(x, {
    training: true,
    dropoutKey: (layer) => streamKey(step.seed, Purpose.dropout, step.step, layer),
  });
  const { loss, losses, ranks } = softmaxCrossEntropy(logits, labels, step.valid, {
    ...(mix && { mix }),
    ...(step.smoothing !== undefined && { smoothing: step.smoothing }),
  });
  tape.backward(loss);
  sgd.step(step.rateOf);
  const results = Promise.all([losses.read(), ranks.read()]);
  tape.release();
  const [lossValues, rankValues] = await results;
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
    const logits = model.forward(input(tape, model, mean, { pixels, views: view }));
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
  const x = input(tape, model, mean, images);
  const values = (await (model.outputs(x, undefined, count).at(-1) ?? x).read()) as Float32Array;
  tape.release();
  const n = images.views.length / VIEW_LENGTH;
  const each = values.length / n;
  const rows = new Float32Array(values.length);
  for (let i = 0; i < each; i++) for (let k = 0; k < n; k++) rows[k * each + i] = values[i * n + k]!;
  return rows;
}

function input(tape: Tape, model: Model, mean: Tensor, { pixels, views }: Images): Tensor {
  const side = model.network.record;
  const images = views.length / VIEW_LENGTH;
  return augment(
    tape.input([images, side, side, 3], pixels),
    tape.input([images, VIEW_LENGTH], views),
    mean,
    model.network.crop,
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
