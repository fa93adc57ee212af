/**
 * Networks for images of 32 × 32: the 2012 program's for CIFAR-10, those that repeat the paper's comparisons at that
 * size, and a small one. [P] is the paper, [S] the 2012 program, as in networks.ts.
 */
import type { Layer, Rows } from "./layer.ts";
import { averagePool, conv, dropout, fc, local, lrn, mapNorm, maxPool, relu, tanh } from "./layers/index.ts";
import { NO_AUGMENTATION, PAPER_AUGMENTATION, PAPER_LRN, type Network, type Recipe } from "./recipe.ts";

/** [S] layers-18pct.cfg: rates fall after 120 epochs and again after 10 more. */
export const CIFAR_RECIPE: Recipe = {
  batch: 128,
  epochs: 140,
  schedule: {
    kind: "phases",
    phases: [
      { from: 0, rate: 0.001 },
      { from: 120, rate: 0.0001 },
      { from: 130, rate: 0.00001 },
    ],
  },
  momentum: 0.9,
  decay: 0.004,
  biasRate: 2,
  biasDecay: false,
  augmentation: NO_AUGMENTATION,
};

export const cifar18: Network = {
  name: "cifar10-18pct",
  about: "the 2012 program's CIFAR-10 network: 18% test error after 20 minutes of a GTX 580",
  crop: 32,
  record: 32,
  classes: 10,
  recipe: CIFAR_RECIPE,
  layers: (classes) => {
    const norm = () => mapNorm({ size: 3, k: 1, alpha: 5e-5 / 9, beta: 0.75 });
    return [
      [conv("conv1", 32, 5, { pad: 2, sigma: 0.0001 }), maxPool(3, 2), relu(), norm()],
      [conv("conv2", 32, 5, { pad: 2, sigma: 0.01 }), relu(), averagePool(3, 2), norm()],
      [conv("conv3", 64, 5, { pad: 2, sigma: 0.01 }), relu(), averagePool(3, 2)],
      fc("fc10", classes, { sigma: 0.01, decay: 1 }),
    ];
  },
};

export const cifar13: Network = {
  name: "cifar10-13pct",
  about: "the 2012 program's CIFAR-10 network with locally connected layers, on random 24×24 crops",
  crop: 24,
  record: 32,
  classes: 10,
  recipe: { ...CIFAR_RECIPE, augmentation: { ...NO_AUGMENTATION, crop: true, mirror: true } },
  // Weight decay only after the convolutions, and the σ of the local layers, are ours: the sources state neither.
  layers: (classes) => [
    [conv("conv1", 64, 5, { pad: 2, sigma: 0.0001, decay: 0 }), relu(), maxPool(3, 2)],
    [conv("conv2", 64, 5, { pad: 2, sigma: 0.01, decay: 0 }), relu(), maxPool(3, 2)],
    [local("local3", 32, 3, { pad: 1, sigma: 0.04 }), relu()],
    [local("local4", 32, 3, { pad: 1, sigma: 0.04 }), relu()],
    fc("fc10", classes, { sigma: 0.01, decay: 0.01 }),
  ],
};

/** He initialisation for filters of size × size over `maps` maps that ReLU follows (He et al. 2015, eq. 10). */
export const he = (maps: number, size = 3): number => Math.sqrt(2 / (maps * size * size));

/** The four layers of [P Fig. 1]. The paper does not give their sizes: these are cifar10-18pct's, without its norms. */
function fourLayers(classes: number, activation: () => Layer): Rows {
  return [
    [conv("conv1", 32, 5, { pad: 2, sigma: 0.005 }), activation(), maxPool(3, 2)],
    [conv("conv2", 32, 5, { pad: 2, sigma: 0.02 }), activation(), maxPool(3, 2)],
    [conv("conv3", 64, 5, { pad: 2, sigma: 0.02 }), activation(), maxPool(3, 2)],
    fc("fc4", classes, { sigma: 0.01 }),
  ];
}

const figure1 = {
  crop: 32,
  record: 32,
  classes: 10,
} as const;

/** No regularisation, and "the learning rates for each network were chosen independently" [P Fig. 1]. */
function figure1Recipe(rate: number): Recipe {
  return { ...CIFAR_RECIPE, epochs: 40, schedule: { kind: "constant", rate }, decay: 0 };
}

export const reluOrTanh: Network = {
  ...figure1,
  name: "relu-or-tanh",
  about: "Figure 1: four layers on CIFAR-10 with ReLU, to race against …",
  recipe: figure1Recipe(0.001),
  layers: (classes) => fourLayers(classes, relu),
};

export const reluOrTanhTanh: Network = {
  ...figure1,
  name: "relu-or-tanh-tanh",
  about: "Figure 1: … the same four layers with tanh",
  recipe: figure1Recipe(0.005),
  layers: (classes) => fourLayers(classes, tanh),
};

export const small: Network = {
  name: "small",
  about: "three conv layers for 32×32 images: what the built-in set is trained with",
  crop: 32,
  record: 32,
  classes: 10,
  // At 0.007, one seed in two fails.
  recipe: { ...CIFAR_RECIPE, epochs: 3, schedule: { kind: "cosine", rate: 0.003 }, biasRate: 1, decay: 0.0005 },
  // With these σ each layer's output is about a third of its input, so that pixels of ±128 end up as logits of ±1.
  layers: (classes) => [
    [conv("conv1", 16, 5, { pad: 2, sigma: 0.035 }), maxPool(3, 2), relu()],
    [conv("conv2", 32, 3, { pad: 1, sigma: 0.03 }), maxPool(3, 2), relu()],
    [conv("conv3", 64, 3, { pad: 1, sigma: 0.02 }), maxPool(3, 2), relu()],
    fc("fc4", classes, { sigma: 0.01 }),
  ],
};

interface Components {
  readonly norm: boolean;
  /** Whether pooling windows overlap: 3 wide at a stride of 2, otherwise 2 wide. */
  readonly overlap: boolean;
  readonly dropout: boolean;
  readonly conv3: boolean;
}

/**
 * The paper's layers at the size of CIFAR-10's images, whole or without one component: what `reproduce` compares. The
 * sizes are ours. After conv1, filters have He initialisation, because σ 0.01 suits wider layers.
 */
function alexnetCifar(name: string, about: string, change: Partial<Components>): Network {
  const parts: Components = { norm: true, overlap: true, dropout: true, conv3: true, ...change };
  const norm = () => (parts.norm ? [lrn(PAPER_LRN)] : []);
  const shrink = () => maxPool(parts.overlap ? 3 : 2, 2);
  const drop = () => (parts.dropout ? [dropout()] : []);
  return {
    name,
    about,
    crop: 28,
    record: 32,
    classes: 10,
    recipe: {
      ...CIFAR_RECIPE,
      batch: 64,
      epochs: 60,
      // At 0.003 the network without its norms, which scale activations down, learns nothing.
      schedule: { kind: "cosine", rate: 0.001 },
      decay: 0.0005,
      biasRate: 1,
      augmentation: PAPER_AUGMENTATION,
    },
    layers: (classes) => [
      [conv("conv1", 32, 5, { pad: 2, sigma: 0.01 }), relu(), norm(), shrink()],
      [conv("conv2", 48, 5, { pad: 2, sigma: he(32, 5) }), relu(), norm(), shrink()],
      ...(parts.conv3 ? [conv("conv3", 64, 3, { pad: 1, sigma: he(48) }), relu()] : []),
      [conv("conv4", 64, 3, { pad: 1, sigma: he(parts.conv3 ? 64 : 48) }), relu(), shrink()],
      [fc("fc5", 256, { sigma: he(64) }), relu(), drop()],
      [fc("fc6", 256, { sigma: he(256, 1) }), relu(), drop()],
      fc("fc7", classes, { sigma: 0.01 }),
    ],
  };
}

export const alexnetCifarAll = alexnetCifar(
  "alexnet-cifar",
  "the paper's parts at CIFAR-10's size, to be compared with …",
  {},
);

/** Each lacks one component. */
export const alexnetCifarWithout: readonly Network[] = [
  alexnetCifar("alexnet-cifar-no-lrn", "… without response normalisation", { norm: false }),
  alexnetCifar("alexnet-cifar-plain-pool", "… with pooling windows that don't overlap", { overlap: false }),
  alexnetCifar("alexnet-cifar-no-dropout", "… without dropout", { dropout: false }),
  alexnetCifar("alexnet-cifar-no-conv3", "… without its third layer", { conv3: false }),
];
