/** What training, inference and the memory check share of a pass: the network's input, the loss and its gradients. */
import type { Backend } from "../engine/backend.ts";
import { augment, VIEW_LENGTH } from "../engine/ops/augment.ts";
import { weightedCrossEntropy } from "../engine/ops/later/weighted_cross_entropy.ts";
import { softmaxCrossEntropy, type CrossEntropy } from "../engine/ops/softmax_cross_entropy.ts";
import type { BackwardOptions, Tape } from "../engine/tape.ts";
import { Tensor } from "../engine/tensor.ts";
import { Purpose, streamKey } from "../random.ts";
import type { Pass } from "./layer.ts";
import type { Model } from "./model.ts";

/** Decoded images on their way to the device. */
export interface Images {
  /** N × S × S × 3 bytes. */
  readonly pixels: Uint8Array;
  /** N × `VIEW_LENGTH`: how each image is cropped and varied, as src/engine/ops/augment.ts says. */
  readonly views: Float32Array;
  /** How many of them become the network's input, all if not given; the others are only there to be mixed in. */
  readonly seen?: number;
}

/** The mean image on the device, S × S × 3; it lives as long as the backend. */
export function uploadMean(backend: Backend, side: number, mean: Float32Array): Tensor {
  const buffer = backend.allocate("f32", mean.length);
  backend.write(buffer, mean);
  return new Tensor(backend, [side, side, 3], buffer);
}

/** 3 × crop × crop × N: the views of the images that are seen, less the mean; stored as the model computes. */
export function networkInput(tape: Tape, model: Model, mean: Tensor, { pixels, views, seen }: Images): Tensor {
  const side = model.network.record;
  const images = views.length / VIEW_LENGTH;
  return augment(
    tape.input([images, side, side, 3], pixels),
    tape.input([images, VIEW_LENGTH], views),
    mean,
    model.network.crop,
    { seen, half: model.half },
  );
}

/** Second labels of mixed images. */
export interface MixedLabels {
  /** The class of the image that each is mixed with, N. */
  readonly others: Uint32Array;
  /** The weight of each image's own label, from 0 to 1, N. */
  readonly shares: Float32Array;
}

/** What the loss is computed from, beside the logits. */
export interface LossLabels {
  /** The class numbers of the images that are seen. */
  readonly labels: Uint32Array;
  /** The second labels of images that are mixed with others. */
  readonly mixed?: MixedLabels;
  /** The part of each label that is spread over all classes. */
  readonly smoothing?: number;
  /** The weight of each class in the loss; all 1 if not given. */
  readonly classWeights?: Float32Array;
  /** How many of the images that are seen count; the rest pad the last batch. */
  readonly valid: number;
}

/** A batch to learn from. The dropout masks depend on seed and step. */
export interface TrainingBatch extends Images, LossLabels {
  /** Steps done before this one. */
  readonly step: number;
  readonly seed: number;
}

/** Queues a forward and a backward pass. Gradients are those of the loss times the model's `lossScale`. */
export function forwardBackward(
  tape: Tape,
  model: Model,
  mean: Tensor,
  batch: TrainingBatch,
  backward?: BackwardOptions,
): CrossEntropy {
  // All writes come before the first kernel: one between kernels would split their submission to the GPU.
  const lossOf = loss(tape, batch);
  const x = networkInput(tape, model, mean, batch);
  const result = lossOf(model.forward(x, passOf(batch)));
  tape.backward(result.loss, { ...backward, weight: (backward?.weight ?? 1) * model.lossScale });
  return result;
}

/** A training pass with this step's dropout masks. */
export function passOf({ seed, step }: Pick<TrainingBatch, "seed" | "step">): Pass {
  return { training: true, dropoutKey: (layer) => streamKey(seed, Purpose.dropout, step, layer) };
}

/** Writes the labels of a step to the device. @returns a function from logits, classes × N, to the loss */
export function loss(
  tape: Tape,
  { labels, mixed, smoothing, classWeights, valid }: LossLabels,
): (logits: Tensor) => CrossEntropy {
  const classes = tape.input([labels.length], labels);
  const mix = mixed && {
    others: tape.input([mixed.others.length], mixed.others),
    shares: tape.input([mixed.shares.length], mixed.shares),
  };
  const options = { ...(mix && { mix }), ...(smoothing !== undefined && { smoothing }) };
  const weights = classWeights && tape.input([classWeights.length], classWeights);
  return (logits) =>
    weights
      ? weightedCrossEntropy(logits, classes, weights, valid, options)
      : softmaxCrossEntropy(logits, classes, valid, options);
}
