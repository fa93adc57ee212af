/**
 * A network's weights depend on how its pixels were preprocessed. This program's networks take red, green and blue from
 * 0 to 255, less a mean image. Other conventions are folded into that form:
 *
 *   (x / s − m) / d = (x − s·m) / (s·d)
 *
 * so the mean image becomes s·m, and conv1's weights are divided by s·d, colour by colour; for blue first, conv1's
 * input channels are reversed. The zeros that a convolution pads with mean the same in both forms: the mean.
 */
import { UsageError } from "../../errors.ts";
import { flatten } from "../../net/layer.ts";
import type { Network } from "../../net/recipe.ts";
import type { WeightFile } from "./weight_file.ts";

export interface Preprocessing {
  /** The order of the colours that conv1 was trained on, and of the numbers below. */
  readonly order: "rgb" | "bgr";
  /** Pixels of 0 … 255 are first divided by this. */
  readonly scale: number;
  /** Then this is subtracted: a number per colour, or channels × side × side. */
  readonly mean: readonly number[] | Float32Array;
  /** Finally they are divided by this. */
  readonly deviation: readonly number[];
}

/** ImageNet's, as for all of torchvision's networks: pytorch.org/vision/stable/models.html. */
const TORCHVISION: Preprocessing = {
  order: "rgb",
  scale: 255,
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
};

/** The mean colours of ilsvrc_2012_mean.npy, which comes with Caffe and is used by its reference networks. */
const CAFFE: Preprocessing = {
  order: "bgr",
  scale: 1,
  mean: [104.0069879317889, 116.66876761696767, 122.6789143406786],
  deviation: [1, 1, 1],
};

/** Of networks whose weights have another than torchvision's. */
const OF_NETWORKS: Readonly<Record<string, Preprocessing>> = {
  // (x − 127) / 128, as in TensorFlow's lite models.
  "efficientnet-lite0": { order: "rgb", scale: 1, mean: [127, 127, 127], deviation: [128, 128, 128] },
  // CIFAR-10's, as in airbench94.py.
  "cifar10-airbench": {
    ...{ order: "rgb", scale: 255 },
    ...{ mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] },
  },
};

/** What weights of a format were usually trained with, before a network's own division. */
export function usualOf({ format }: Pick<WeightFile, "format">, { name }: Network): Preprocessing {
  return format === "Caffe" ? CAFFE : (OF_NETWORKS[name] ?? TORCHVISION);
}

/** What is left to fold in where a network itself divides its input: `deviation` divided by that. */
export function besideDivision(preprocessing: Preprocessing, network: Network): Preprocessing {
  const [first] = flatten(network.layers(network.classes));
  if (first?.kind !== "divide") return preprocessing;
  const by = Number(first.options["by"]);
  return { ...preprocessing, deviation: preprocessing.deviation.map((each) => each / by) };
}

/** S × S × 3, red first, 0 … 255. @throws UsageError when a mean image has another size */
export function meanImage({ order, scale, mean }: Preprocessing, side: number): Float32Array {
  const pixels = side * side;
  if (mean.length !== 3 && mean.length !== 3 * pixels) {
    throw new UsageError(
      `the mean has ${mean.length} numbers: must have 3, one per colour, or ${3 * pixels}, 3×${side}×${side}`,
    );
  }
  const isImage = mean.length > 3;
  const image = new Float32Array(3 * pixels);
  for (let i = 0; i < image.length; i++) {
    const c = channel(order, i % 3);
    image[i] = scale * mean[isImage ? c * pixels + Math.floor(i / 3) : c]!;
  }
  return image;
}

/** Folds the order, scale and deviation into conv1's weights, outputs × 3 × height × width. */
export function foldInto(weights: Float32Array, shape: readonly number[], { order, scale, deviation }: Preprocessing) {
  const [outputs = 0, , ...window] = shape;
  const size = window.reduce((product, side) => product * side, 1);
  const folded = new Float32Array(weights.length);
  for (let o = 0; o < outputs; o++) {
    for (let colour = 0; colour < 3; colour++) {
      const c = channel(order, colour);
      const factor = scale * deviation[c]!;
      const [to, from] = [(3 * o + colour) * size, (3 * o + c) * size];
      for (let k = 0; k < size; k++) folded[to + k] = weights[from + k]! / factor;
    }
  }
  return folded;
}

/** The position of red, green or blue (0, 1, 2). */
const channel = (order: Preprocessing["order"], colour: number): number => (order === "bgr" ? 2 - colour : colour);

/** A line for people: what was subtracted, and what was folded into the weights. */
export function describe({ order, scale, mean, deviation }: Preprocessing): string {
  const round = (numbers: readonly number[]) => numbers.map((n) => Number(n.toPrecision(4))).join(", ");
  const factors = deviation.map((d) => scale * d);
  const folded: string[] = [];
  if (factors.some((factor) => factor !== 1)) folded.push(`the first layer's weights divided by ${round(factors)}`);
  if (order === "bgr") folded.push("the first layer's input channels from blue, green, red to red, green, blue");
  const subtracted = mean.length === 3 ? round([...mean].map((m) => scale * m)) : "a mean image";
  const first = order === "bgr" ? " (blue first)" : "";
  return `pixels 0–255 minus ${subtracted}${first}${folded.length > 0 ? `; folded in: ${folded.join("; ")}` : ""}`;
}
