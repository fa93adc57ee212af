/**
 * Networks for CIFAR-10 against the clock, after Keller Jordan's airbench94 (arXiv 2404.00498,
 * github.com/KellerJordan/cifar10-airbench): a whitening convolution that isn't learnt, three blocks of two 3×3
 * convolutions with batch normalisation, and a fully connected layer.
 */
import type { Rows } from "../layer.ts";
import { batchNorm, conv, divide, fc, gelu, maxPool } from "../layers/index.ts";
import { NO_AUGMENTATION, type Network, type Recipe } from "../recipe.ts";

/** A convolution that begins as the identity, perhaps max-pooling, and a normalisation without scale. */
function normed(name: string, number: 1 | 2, maps: number): Rows {
  return [
    conv(`${name}.conv${number}`, maps, 3, { pad: 1, sigma: "identity", bias: false }),
    number === 1 ? [maxPool(2, 2, { round: "down" })] : [],
    batchNorm(`${name}.norm${number}`, { momentum: 0.4, epsilon: 1e-12, learns: "shift" }),
    gelu(),
  ];
}

/**
 * airbench94's hyperparameters: learning rates are given for the sum of the losses of 1,024 images, weight decay for as
 * many, both for the length of Nesterov's steps at that momentum. Here the loss is the mean.
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

/** @param widths the maps of each block */
function airbench(name: string, about: string, widths: readonly [number, number, number], recipe: Recipe): Network {
  return {
    ...{ name, about, crop: 32, record: 32, classes: 10, recipe },
    layers: (classes) => [
      // To about unit variance, as CIFAR-10's pixels have a standard deviation of 63.
      [divide(64), conv("whiten", 24, 2, { sigma: "whiten", bias: false }), gelu()],
      widths.map((maps, i) => [normed(`block${i + 1}`, 1, maps), normed(`block${i + 1}`, 2, maps)]),
      [maxPool(3, 3), fc("fc", classes, { sigma: "fan-in", bias: false }), divide(9)],
    ],
  };
}

export const airbench94 = airbench(
  "cifar10-airbench",
  "airbench94 (arXiv 2404.00498): a whitening layer and three blocks of two convolutions",
  [64, 256, 256],
  recipeFor(1024, 10),
);

export const airbenchMiddle = airbench(
  "cifar10-airbench-middle",
  "the same with fewer maps, for 20 minutes of training",
  [64, 128, 256],
  recipeFor(512, 12),
);

export const airbenchNarrow = airbench(
  "cifar10-airbench-narrow",
  "the same with still fewer, for 80 seconds",
  [16, 32, 64],
  recipeFor(256, 6),
);
