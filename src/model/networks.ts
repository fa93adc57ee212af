/**
 * The networks, as lists of layers, each with the recipe it is trained by unless told otherwise.
 * [P] is the paper (NIPS 2012, CACM 60(6) 2017); [S] the 2012 program, github.com/computerhistory/AlexNet-Source-Code.
 */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { averagePool, conv, dropout, fc, type Layer, local, lrn, mapNorm, maxPool, relu, tanh } from "./layers.ts";

export interface Network {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Side of the square images it sees. */
  readonly crop: number;
  /** Side of the square images that those are cut from. */
  readonly record: number;
  /** How many classes it has unless the data says otherwise. */
  readonly classes: number;
  readonly recipe: Recipe;
  layers(classes: number): readonly Layer[];
}

export interface Recipe {
  readonly batch: number;
  readonly epochs: number;
  readonly schedule: Schedule;
  readonly momentum: number;
  readonly decay: number;
  /** Biases learn at this multiple of the rate. */
  readonly biasRate: number;
  /** Whether weight decay holds for biases too. */
  readonly biasDecay: boolean;
  readonly augmentation: Augmentation;
}

/** How training images are varied. The numbers are explained where they are drawn, in src/data/augmentation.ts. */
export interface Augmentation {
  /** Random crops; otherwise the centre. */
  readonly crop: boolean;
  readonly mirror: boolean;
  /** Standard deviation of the PCA colour noise's factors [P §4.1], 0 for none. */
  readonly colour: number;
  /** How many consecutive images share one crop position. */
  readonly sharedCrop: number;
  /** The image is divided by this after the noise has been added. */
  readonly divideBy: number;
  /** The smallest share of the image's area that is cut out and resized, in place of `crop`; 0 for no such crops. */
  readonly resizedCrop: number;
  /** How far brightness, contrast and saturation go from 1, and four times how far hues turn; 0 for no jitter. */
  readonly jitter: number;
  /** The probability that a rectangle is erased. */
  readonly erase: number;
  /**
   * α of the Beta distribution by which two images are mixed, or one gets a box of another; 0 for not. The loss that is
   * reported of the training is then that of both labels, and its errors count each image's own label alone: both are
   * far above those of the validation.
   */
  readonly mixup: number;
  readonly cutmix: number;
  /** ε, the part of a label that is spread over all classes. */
  readonly smooth: number;
}

/**
 * How the learning rate goes: "plateau" divides it by ten when the validation error has not improved for `patience`
 * epochs, at most `drops` times [P §5]; "phases" says from which epoch (counted from 0) which rate holds; "cosine"
 * falls from the rate to nothing over the run.
 */
export type Schedule =
  | { readonly kind: "constant" | "cosine"; readonly rate: number }
  | { readonly kind: "plateau"; readonly rate: number; readonly patience: number; readonly drops: number }
  | { readonly kind: "phases"; readonly phases: readonly Phase[] };

export interface Phase {
  readonly from: number;
  readonly rate: number;
  /** Layers with a rate of their own; 0 is frozen. */
  readonly rates?: Readonly<Record<string, number>>;
  /** false: without colour noise from here on. */
  readonly colour?: false;
}

export const NO_AUGMENTATION: Augmentation = {
  ...{ crop: false, mirror: false, colour: 0, sharedCrop: 1, divideBy: 1 },
  ...{ resizedCrop: 0, jitter: 0, erase: 0, mixup: 0, cutmix: 0, smooth: 0 },
};

/** Crop, mirror and colour noise of [P §4.1]. */
export const PAPER_AUGMENTATION: Augmentation = { ...NO_AUGMENTATION, crop: true, mirror: true, colour: 0.1 };

/** What image classifiers have been trained with since; the numbers are those that torchvision's and timm's recipes use. */
export const MODERN_AUGMENTATION: Augmentation = {
  ...NO_AUGMENTATION,
  ...{ mirror: true, resizedCrop: 0.08, jitter: 0.4, erase: 0.25, mixup: 0.2, cutmix: 1, smooth: 0.1 },
};

/** [P §5] */
const PAPER_RECIPE: Recipe = {
  batch: 128,
  epochs: 90,
  schedule: { kind: "plateau", rate: 0.01, patience: 5, drops: 3 },
  momentum: 0.9,
  decay: 0.0005,
  biasRate: 1,
  biasDecay: true,
  augmentation: PAPER_AUGMENTATION,
};

/** [S] layer-params-145-2010.cfg and the notes in layers-145.cfg. */
const RECIPE_2012: Recipe = {
  ...PAPER_RECIPE,
  epochs: 93,
  schedule: {
    kind: "phases",
    phases: [
      { from: 0, rate: 0.01 },
      { from: 23, rate: 0.001 },
      { from: 51, rate: 0.0001 },
      { from: 68, rate: 0.0001, rates: { conv1: 0.00001 }, colour: false },
      { from: 72, rate: 0.0001, rates: { conv1: 0 }, colour: false },
      { from: 78, rate: 0.00001, colour: false },
    ],
  },
  biasRate: 2,
  biasDecay: false,
  augmentation: { ...PAPER_AUGMENTATION, sharedCrop: 32, divideBy: 1.1 },
};

/** [S] layers-18pct.cfg: rates fall after 120 epochs and again after 10 more. */
const CIFAR_RECIPE: Recipe = {
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

/** [P §3.3] */
const PAPER_LRN = { n: 5, k: 2, alpha: 1e-4, beta: 0.75 };

/** The two hidden layers and the output that all the large networks end in [P §3.5, §4.2]. */
function classifier(classes: number): Layer[] {
  const hidden = { sigma: 0.01, bias: 1 };
  return [
    ...[fc("fc6", 4096, hidden), relu(), dropout(0)],
    ...[fc("fc7", 4096, hidden), relu(), dropout(1)],
    fc("fc8", classes, { sigma: 0.01 }),
  ];
}

/** conv1 to the last pooling layer of the paper [P §3.5], for other numbers of filters and groups too. */
function paperFeatures(filters: readonly [number, number, number, number, number], groups: 1 | 2): Layer[] {
  const [n1, n2, n3, n4, n5] = filters;
  return [
    ...[conv("conv1", n1, 11, { stride: 4, sigma: 0.01 }), relu(), lrn(PAPER_LRN), maxPool(3, 2)],
    ...[conv("conv2", n2, 5, { pad: 2, groups, sigma: 0.01, bias: 1 }), relu(), lrn(PAPER_LRN), maxPool(3, 2)],
    ...[conv("conv3", n3, 3, { pad: 1, sigma: 0.01 }), relu()],
    ...[conv("conv4", n4, 3, { pad: 1, groups, sigma: 0.01, bias: 1 }), relu()],
    ...[conv("conv5", n5, 3, { pad: 1, groups, sigma: 0.01, bias: 1 }), relu(), maxPool(3, 2)],
  ];
}

const large = { crop: 227, record: 256, classes: 1000, recipe: PAPER_RECIPE };

export const alexnet: Network = {
  ...large,
  name: "alexnet",
  about: "the network as the paper states it",
  layers: (classes) => [...paperFeatures([96, 256, 384, 384, 256], 2), ...classifier(classes)],
};

export const alexnet2012: Network = {
  ...large,
  name: "alexnet-2012",
  about: "the network as the 2012 program trained it",
  recipe: RECIPE_2012,
  layers: (classes) => {
    // Each device normalised its own half of the maps, and the program divides α by the window.
    const halves = { n: 5, k: 2, alpha: 1e-4 / 5, beta: 0.75, groups: 2 };
    const third = { pad: 1, sigma: 0.03 };
    return [
      ...[conv("conv1", 96, 11, { stride: 4, sigma: 0.01 }), lrn(halves), maxPool(3, 2), relu()],
      ...[conv("conv2", 256, 5, { pad: 2, groups: 2, sigma: 0.01, bias: 1 }), relu(), lrn(halves)],
      ...[mapNorm({ size: 5, k: 1, alpha: 0.001 / 25, beta: 0.75 }), maxPool(3, 2)],
      ...[conv("conv3", 384, 3, third), relu()],
      ...[conv("conv4", 384, 3, { ...third, groups: 2, bias: 1 }), relu()],
      ...[conv("conv5", 256, 3, { ...third, groups: 2, bias: 1 }), maxPool(3, 2), relu()],
      ...classifier(classes),
    ];
  },
};

/** bvlc_alexnet/solver.prototxt: batches of 256, rates by steps of 100,000 iterations, 20 epochs. */
const CAFFE_RECIPE: Recipe = {
  ...PAPER_RECIPE,
  batch: 256,
  schedule: { kind: "phases", phases: [0, 20, 40, 60, 80].map((from, i) => ({ from, rate: 0.01 / 10 ** i })) },
  biasRate: 2,
  biasDecay: false,
  augmentation: { ...NO_AUGMENTATION, crop: true, mirror: true },
};

export const caffeAlexnet: Network = {
  ...large,
  name: "caffe-alexnet",
  about: "Caffe's bvlc_alexnet: LRN with k 1 and α divided by n, biases of 0.1 at the start",
  recipe: CAFFE_RECIPE,
  // github.com/BVLC/caffe/blob/master/models/bvlc_alexnet/train_val.prototxt
  layers: (classes) => {
    const norm = () => lrn({ n: 5, k: 1, alpha: 1e-4 / 5, beta: 0.75 });
    const split = { groups: 2, sigma: 0.01, bias: 0.1 } as const;
    const hidden = { sigma: 0.005, bias: 0.1 };
    return [
      ...[conv("conv1", 96, 11, { stride: 4, sigma: 0.01 }), relu(), norm(), maxPool(3, 2)],
      ...[conv("conv2", 256, 5, { pad: 2, ...split }), relu(), norm(), maxPool(3, 2)],
      ...[conv("conv3", 384, 3, { pad: 1, sigma: 0.01 }), relu()],
      ...[conv("conv4", 384, 3, { pad: 1, ...split }), relu()],
      ...[conv("conv5", 256, 3, { pad: 1, ...split }), relu(), maxPool(3, 2)],
      ...[fc("fc6", 4096, hidden), relu(), dropout(0)],
      ...[fc("fc7", 4096, hidden), relu(), dropout(1)],
      fc("fc8", classes, { sigma: 0.01 }),
    ];
  },
};

export const alexnetOneGpu: Network = {
  ...large,
  name: "alexnet-one-gpu",
  about: "half as many kernels in conv1 to conv4, no groups: what the paper's two devices are compared with",
  layers: (classes) => [...paperFeatures([48, 128, 192, 192, 256], 1), ...classifier(classes)],
};

export const alexnet2009: Network = {
  ...large,
  name: "alexnet-2009",
  about: "with a sixth conv layer behind the last pooling layer, for the 10,184 classes of Fall 2009",
  classes: 10_184,
  // The paper gives no numbers for conv6; these repeat conv5.
  layers: (classes) => [
    ...paperFeatures([96, 256, 384, 384, 256], 2),
    ...[conv("conv6", 256, 3, { pad: 1, groups: 2, sigma: 0.01, bias: 1 }), relu()],
    ...classifier(classes),
  ],
};

export const alexnetOwt: Network = {
  ...large,
  name: "alexnet-owt",
  about: "one tower, no normalisation (arXiv 1404.5997): torchvision's alexnet, with its names and initial weights",
  crop: 224,
  layers: (classes) => {
    const start = { sigma: "fan-in" } as const;
    const shrink = () => maxPool(3, 2, { round: "down" });
    return [
      ...[conv("features.0", 64, 11, { stride: 4, pad: 2, ...start }), relu(), shrink()],
      ...[conv("features.3", 192, 5, { pad: 2, ...start }), relu(), shrink()],
      ...[conv("features.6", 384, 3, { pad: 1, ...start }), relu()],
      ...[conv("features.8", 256, 3, { pad: 1, ...start }), relu()],
      ...[conv("features.10", 256, 3, { pad: 1, ...start }), relu(), shrink()],
      ...[dropout(0), fc("classifier.1", 4096, start), relu()],
      ...[dropout(1), fc("classifier.4", 4096, start), relu()],
      fc("classifier.6", classes, start),
    ];
  },
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
      ...[conv("conv1", 32, 5, { pad: 2, sigma: 0.0001 }), maxPool(3, 2), relu(), norm()],
      ...[conv("conv2", 32, 5, { pad: 2, sigma: 0.01 }), relu(), averagePool(3, 2), norm()],
      ...[conv("conv3", 64, 5, { pad: 2, sigma: 0.01 }), relu(), averagePool(3, 2)],
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
  // Decay only behind the convolutions, and σ of the local layers: ours, where our sources state none.
  layers: (classes) => [
    ...[conv("conv1", 64, 5, { pad: 2, sigma: 0.0001, decay: 0 }), relu(), maxPool(3, 2)],
    ...[conv("conv2", 64, 5, { pad: 2, sigma: 0.01, decay: 0 }), relu(), maxPool(3, 2)],
    ...[local("local3", 32, 3, { pad: 1, sigma: 0.04 }), relu()],
    ...[local("local4", 32, 3, { pad: 1, sigma: 0.04 }), relu()],
    fc("fc10", classes, { sigma: 0.01, decay: 0.01 }),
  ],
};

/** The four layers of [P Fig. 1], whose sizes the paper does not give: those of cifar10-18pct without its norms. */
function fourLayers(classes: number, activation: () => Layer): Layer[] {
  return [
    ...[conv("conv1", 32, 5, { pad: 2, sigma: 0.005 }), activation(), maxPool(3, 2)],
    ...[conv("conv2", 32, 5, { pad: 2, sigma: 0.02 }), activation(), maxPool(3, 2)],
    ...[conv("conv3", 64, 5, { pad: 2, sigma: 0.02 }), activation(), maxPool(3, 2)],
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
  // A lower rate than the 0.007 at which one seed in two fails.
  recipe: { ...CIFAR_RECIPE, epochs: 3, schedule: { kind: "cosine", rate: 0.003 }, biasRate: 1, decay: 0.0005 },
  // Each σ makes a layer's output about a third of its input, so that pixels of ±128 end as logits of ±1.
  layers: (classes) => [
    ...[conv("conv1", 16, 5, { pad: 2, sigma: 0.035 }), maxPool(3, 2), relu()],
    ...[conv("conv2", 32, 3, { pad: 1, sigma: 0.03 }), maxPool(3, 2), relu()],
    ...[conv("conv3", 64, 3, { pad: 1, sigma: 0.02 }), maxPool(3, 2), relu()],
    fc("fc4", classes, { sigma: 0.01 }),
  ],
};

export const networks: readonly Network[] = [
  small,
  alexnet,
  alexnet2012,
  alexnetOneGpu,
  alexnet2009,
  alexnetOwt,
  caffeAlexnet,
  cifar18,
  cifar13,
  reluOrTanh,
  reluOrTanhTanh,
];

/** @throws UsageError when there is no network of this name. */
export function findNetwork(name: string): Network {
  const network = networks.find((candidate) => candidate.name === name);
  if (network) return network;
  const names = networks.map((candidate) => candidate.name);
  throw new UsageError(`no model is called "${name}"${suggest(name, names)}; there are ${names.join(", ")}`);
}
