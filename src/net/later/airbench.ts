/**
 * Networks for CIFAR-10 against the clock, after Keller Jordan's airbench94 (arXiv 2404.00498,
 * github.com/KellerJordan/cifar10-airbench): a whitening convolution that isn't learnt, three blocks of two 3×3
 * convolutions with batch normalisation, and a fully connected layer.
 */
import type { Layer, Rows } from "../layer.ts";
import { batchNorm, conv, divide, fc, gelu, maxPool, relu } from "../layers/index.ts";
import { NO_AUGMENTATION, type Network, type Recipe } from "../recipe.ts";

/**
 * airbench94's hyperparameters. Its learning rate and weight decay are those of 1,024 images, for the length of
 * Nesterov's steps at that momentum, and its loss is a sum, where ours is a mean.
 */
function recipeFor(batch: number, epochs: number): Recipe {
  const [rate, decay, momentum] = [11.5, 0.0153, 0.85];
  return {
    batch,
    epochs,
    schedule: {
      kind: "triangular",
      rate: Number(((batch / 1024) * (rate / (1 + 1 / (1 - momentum)))).toPrecision(3)),
      ...{ start: 0.2, peak: 0.23, end: 0.07 },
    },
    optimizer: "nesterov",
    momentum,
    decay: Number((decay / rate).toPrecision(3)),
    biasRate: 64,
    biasDecay: false,
    augmentation: { ...NO_AUGMENTATION, pad: 2, alternate: true, smooth: 0.2 },
  };
}

interface Shape {
  readonly widths: readonly [number, number, number];
  /** The convolution that whitens, and the first activation and all others. */
  readonly first: Layer;
  readonly activation: () => Layer;
  /** Side of the maps at the end, of which the largest number counts. */
  readonly side: number;
}

function airbench(name: string, about: string, { widths, first, activation, side }: Shape, recipe: Recipe): Network {
  const normed = (name: string, number: 1 | 2, maps: number): Rows => [
    conv(`${name}.conv${number}`, maps, 3, { pad: 1, sigma: "identity", bias: false }),
    number === 1 ? [maxPool(2, 2, { round: "down" })] : [],
    batchNorm(`${name}.norm${number}`, { momentum: 0.4, epsilon: 1e-12, learns: "shift" }),
    activation(),
  ];
  return {
    ...{ name, about, crop: 32, record: 32, classes: 10, recipe },
    layers: (classes) => [
      // To about unit variance: CIFAR-10's pixels have a standard deviation of 63.
      [divide(64), first, activation()],
      widths.map((maps, i) => [1, 2].map((number) => normed(`block${i + 1}`, number as 1 | 2, maps))),
      [maxPool(side, side), fc("fc", classes, { sigma: "fan-in", bias: false }), divide(9)],
    ],
  };
}

export const airbench94 = airbench(
  "cifar10-airbench",
  "airbench94 (arXiv 2404.00498): a whitening layer and three blocks of two convolutions",
  {
    widths: [64, 256, 256],
    first: conv("whiten", 24, 2, { sigma: "whiten", bias: false }),
    activation: gelu,
    side: 3,
  },
  {
    ...recipeFor(1024, 10),
    average: { kind: "lookahead", decay: Number((0.95 ** 5).toPrecision(4)), every: 5 },
  },
);

/**
 * Ours for a CPU: the first layer's windows are at a stride of 2. For as much arithmetic the layers after it have more
 * maps, of a quarter of the pixels, which CPUs multiply faster and normalise in fewer passes over memory.
 */
function half(widths: Shape["widths"]): Shape {
  const first = conv("whiten", 48, 4, { stride: 2, pad: 1, sigma: "whiten", bias: false });
  return { widths, first, activation: relu, side: 2 };
}

export const airbenchMiddle = airbench(
  "cifar10-airbench-middle",
  "the same at half the resolution, for 20 minutes of training",
  half([96, 192, 384]),
  recipeFor(256, 10),
);

export const airbenchNarrow = airbench(
  "cifar10-airbench-narrow",
  "the same with fewer maps, for 80 seconds",
  half([32, 64, 128]),
  recipeFor(256, 5),
);
