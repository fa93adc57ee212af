/**
 * Networks for CIFAR-10 against the clock, after Keller Jordan's airbench94 (arXiv 2404.00498,
 * github.com/KellerJordan/cifar10-airbench): a whitening convolution that isn't learnt, three blocks of two 3×3
 * convolutions with batch normalisation, and a fully connected layer. Layers have airbench94's names, their
 * places in a sequence that counts activations and pooling too.
 */
import type { Layer, Rows } from "../layer.ts";
import { batchNorm, conv, divide, fc, gelu, maxPool, relu } from "../layers/index.ts";
import { NO_AUGMENTATION, type Network, type ParameterGroup, type Recipe } from "../recipe.ts";

/** The course of its learning rate. */
const TRIANGLE = { kind: "triangular", start: 0.2, peak: 0.23, end: 0.07 } as const;

/** The shifts of the normalisations move faster, and decay as much in a step. */
const FAST_SHIFTS: ParameterGroup = { of: "biases", rate: 64, decay: 1 / 64 };

/**
 * airbench94's hyperparameters. Its learning rate and weight decay are those of 1,024 images, for the length of
 * Nesterov's steps at that momentum, and its loss is a sum, where ours is a mean.
 */
function recipeFor(batch: number, epochs: number): Recipe {
  const [rate, decay, momentum] = [11.5, 0.0153, 0.85];
  return {
    batch,
    epochs,
    schedule: { ...TRIANGLE, rate: Number(((batch / 1024) * (rate / (1 + 1 / (1 - momentum)))).toPrecision(3)) },
    optimizer: "nesterov",
    momentum,
    decay: Number((decay / rate).toPrecision(3)),
    biasRate: 1,
    biasDecay: true,
    groups: [FAST_SHIFTS],
    augmentation: { ...NO_AUGMENTATION, pad: 2, alternate: true, smooth: 0.2 },
  };
}

interface Shape {
  readonly widths: readonly [number, number, number];
  /** The convolution that whitens. */
  readonly first: Layer;
  readonly activation: () => Layer;
  /** How many of the blocks halve the side of their maps. */
  readonly pools: number;
  /** Side of the maps at the end, of which the largest number counts. */
  readonly side: number;
}

function airbench(
  name: string,
  about: string,
  { widths, first, activation, pools, side }: Shape,
  recipe: Recipe,
): Network {
  const normed = (name: string, number: number, maps: number, pool: Rows = []): Rows => [
    conv(`${name}.conv${number}`, maps, 3, { pad: 1, sigma: "identity", bias: false }),
    pool,
    batchNorm(`${name}.norm${number}`, { momentum: 0.4, epsilon: 1e-12, learns: "shift" }),
    activation(),
  ];
  const block = (name: string, maps: number, halves: boolean): Rows => [
    normed(name, 1, maps, halves ? [maxPool(2, 2, { round: "down" })] : []),
    normed(name, 2, maps),
  ];
  return {
    ...{ name, about, crop: 32, record: 32, classes: 10, recipe },
    layers: (classes) => [
      // To about unit variance: CIFAR-10's pixels have a standard deviation of 63.
      [divide(64), first, activation()],
      widths.map((maps, i) => block(`${i + 2}`, maps, i < pools)),
      [maxPool(side, side), fc("7", classes, { sigma: "fan-in", bias: false }), divide(9)],
    ],
  };
}

/** As airbench94's, but for the numbers of maps. */
function whole(widths: Shape["widths"]): Shape {
  return { widths, first: conv("0", 24, 2, { sigma: "whiten" }), activation: gelu, pools: 3, side: 3 };
}

export const airbench94 = airbench(
  "cifar10-airbench",
  "airbench94 (arXiv 2404.00498): a whitening layer and three blocks of two convolutions",
  whole([64, 256, 256]),
  {
    ...recipeFor(1024, 10),
    groups: [FAST_SHIFTS, { of: "0.bias", rate: 1, decay: 1 }],
    average: { kind: "lookahead", decay: 0.95 ** 5, every: 5 },
  },
);

/**
 * After airbench94_muon of the same repository: Muon with little momentum, at a rate that falls to zero. There each matrix
 * is kept at the norm √R of its R rows; here weight decay does that, since a step adds rate² · R to the norm's square and
 * decay takes 2 · rate · decay of it. Steps of 512 images are at half the rate of its 2,000. Shifts and the last layer
 * move by AdamW's rate, a small share of Muon's.
 */
function muonRecipe(epochs: number): Recipe {
  return {
    ...recipeFor(512, epochs),
    schedule: { kind: "triangular", rate: 0.12, start: 0.3, peak: 0.05, end: 0 },
    optimizer: "muon",
    momentum: 0.6,
    decay: 0.06,
    groups: [{ of: "biases", rate: 8, decay: 1 }],
  };
}

export const airbenchMuon = airbench(
  "cifar10-airbench-muon",
  "the same, after airbench94_muon: trained with Muon, for 20 minutes",
  whole([64, 256, 256]),
  muonRecipe(8),
);

export const airbenchMiddle = airbench(
  "cifar10-airbench-middle",
  "the same with fewer maps, of 2 MB in half precision: the network in the box",
  whole([64, 160, 192]),
  muonRecipe(10),
);

/**
 * Ours for a CPU: windows of the first layer are at a stride of 2. For as much arithmetic, the layers after it have more
 * maps of a quarter of the pixels, so that less is moved through memory. In the last block, maps of 2 × 2 would be
 * mostly padding.
 */
function half(widths: Shape["widths"]): Shape {
  const first = conv("0", 32, 4, { stride: 2, pad: 1, sigma: "whiten", bias: false });
  return { widths, first, activation: relu, pools: 2, side: 4 };
}

export const airbenchNarrow = airbench(
  "cifar10-airbench-narrow",
  "the same with still fewer, at half the resolution, for 80 seconds",
  half([32, 80, 160]),
  recipeFor(256, 5),
);
