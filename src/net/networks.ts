/**
 * The networks, as lists of layers, each with its default recipe.
 * [P] is the paper (NIPS 2012, CACM 60(6) 2017); [S] the 2012 program, github.com/computerhistory/AlexNet-Source-Code.
 */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import {
  alexnetCifarAll,
  alexnetCifarWithout,
  cifar13,
  cifar18,
  reluOrTanh,
  reluOrTanhTanh,
  small,
} from "./cifar_networks.ts";
import { cifarVgg, cifarVggMiddle, cifarVggNarrow } from "./later/cifar_vgg.ts";
import { airbench94, airbenchMiddle, airbenchMuon, airbenchNarrow } from "./later/airbench.ts";
import { efficientnetLite0, mobilenetV2 } from "./later/mobile_networks.ts";
import { resnet18, squeezenet, vgg11Bn } from "./later/torchvision_networks.ts";
import type { Rows } from "./layer.ts";
import { conv, dropout, fc, lrn, mapNorm, maxPool, relu } from "./layers/index.ts";
import { NO_AUGMENTATION, PAPER_AUGMENTATION, PAPER_LRN, type Network, type Recipe } from "./recipe.ts";

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

/** The two hidden layers and the output layer that all the large networks end with [P §3.5, §4.2]. */
function classifier(classes: number): Rows {
  const hidden = { sigma: 0.01, bias: 1 };
  return [
    [fc("fc6", 4096, hidden), relu(), dropout()],
    [fc("fc7", 4096, hidden), relu(), dropout()],
    fc("fc8", classes, { sigma: 0.01 }),
  ];
}

/** conv1 to the last pooling layer [P §3.5], with any numbers of filters and groups. */
function paperFeatures(filters: readonly [number, number, number, number, number], groups: 1 | 2): Rows {
  const [n1, n2, n3, n4, n5] = filters;
  return [
    [conv("conv1", n1, 11, { stride: 4, sigma: 0.01 }), relu(), lrn(PAPER_LRN), maxPool(3, 2)],
    [conv("conv2", n2, 5, { pad: 2, groups, sigma: 0.01, bias: 1 }), relu(), lrn(PAPER_LRN), maxPool(3, 2)],
    [conv("conv3", n3, 3, { pad: 1, sigma: 0.01 }), relu()],
    [conv("conv4", n4, 3, { pad: 1, groups, sigma: 0.01, bias: 1 }), relu()],
    [conv("conv5", n5, 3, { pad: 1, groups, sigma: 0.01, bias: 1 }), relu(), maxPool(3, 2)],
  ];
}

const large = { crop: 227, record: 256, classes: 1000, recipe: PAPER_RECIPE };

export const alexnet: Network = {
  ...large,
  name: "alexnet",
  about: "the network as the paper states it",
  layers: (classes) => [paperFeatures([96, 256, 384, 384, 256], 2), classifier(classes)],
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
      [conv("conv1", 96, 11, { stride: 4, sigma: 0.01 }), lrn(halves), maxPool(3, 2), relu()],
      [conv("conv2", 256, 5, { pad: 2, groups: 2, sigma: 0.01, bias: 1 }), relu(), lrn(halves)],
      [mapNorm({ size: 5, k: 1, alpha: 0.001 / 25, beta: 0.75 }), maxPool(3, 2)],
      [conv("conv3", 384, 3, third), relu()],
      [conv("conv4", 384, 3, { ...third, groups: 2, bias: 1 }), relu()],
      [conv("conv5", 256, 3, { ...third, groups: 2, bias: 1 }), maxPool(3, 2), relu()],
      classifier(classes),
    ];
  },
};

/** bvlc_alexnet/solver.prototxt: batches of 256, and a lower rate every 100,000 iterations, or 20 epochs. */
const CAFFE_RECIPE: Recipe = {
  ...PAPER_RECIPE,
  batch: 256,
  schedule: { kind: "phases", phases: [0, 20, 40, 60, 80].map((from, i) => ({ from, rate: 0.01 / 10 ** i })) },
  biasRate: 2,
  biasDecay: false,
  augmentation: { ...NO_AUGMENTATION, crop: true, mirror: true },
};

const caffeAlexnet: Network = {
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
      [conv("conv1", 96, 11, { stride: 4, sigma: 0.01 }), relu(), norm(), maxPool(3, 2)],
      [conv("conv2", 256, 5, { pad: 2, ...split }), relu(), norm(), maxPool(3, 2)],
      [conv("conv3", 384, 3, { pad: 1, sigma: 0.01 }), relu()],
      [conv("conv4", 384, 3, { pad: 1, ...split }), relu()],
      [conv("conv5", 256, 3, { pad: 1, ...split }), relu(), maxPool(3, 2)],
      [fc("fc6", 4096, hidden), relu(), dropout()],
      [fc("fc7", 4096, hidden), relu(), dropout()],
      fc("fc8", classes, { sigma: 0.01 }),
    ];
  },
};

const alexnetOneGpu: Network = {
  ...large,
  name: "alexnet-one-gpu",
  about: "half as many kernels in conv1 to conv4, no groups: what the paper's two devices are compared with",
  layers: (classes) => [paperFeatures([48, 128, 192, 192, 256], 1), classifier(classes)],
};

const alexnet2009: Network = {
  ...large,
  name: "alexnet-2009",
  about: "with a sixth conv layer behind the last pooling layer, for the 10,184 classes of Fall 2009",
  classes: 10_184,
  // The paper gives no numbers for conv6; these repeat conv5.
  layers: (classes) => [
    paperFeatures([96, 256, 384, 384, 256], 2),
    [conv("conv6", 256, 3, { pad: 1, groups: 2, sigma: 0.01, bias: 1 }), relu()],
    classifier(classes),
  ],
};

const alexnetOwt: Network = {
  ...large,
  name: "alexnet-owt",
  about: "one tower, no normalisation (arXiv 1404.5997): torchvision's alexnet, with its names and initial weights",
  crop: 224,
  layers: (classes) => {
    const start = { sigma: "fan-in" } as const;
    const shrink = () => maxPool(3, 2, { round: "down" });
    return [
      [conv("features.0", 64, 11, { stride: 4, pad: 2, ...start }), relu(), shrink()],
      [conv("features.3", 192, 5, { pad: 2, ...start }), relu(), shrink()],
      [conv("features.6", 384, 3, { pad: 1, ...start }), relu()],
      [conv("features.8", 256, 3, { pad: 1, ...start }), relu()],
      [conv("features.10", 256, 3, { pad: 1, ...start }), relu(), shrink()],
      [dropout(), fc("classifier.1", 4096, start), relu()],
      [dropout(), fc("classifier.4", 4096, start), relu()],
      fc("classifier.6", classes, start),
    ];
  },
};

/** The networks in the box, by whose names `findNetwork` and `--model` find them. */
export const networks: readonly Network[] = [
  small,
  alexnet,
  alexnet2012,
  alexnetOneGpu,
  alexnet2009,
  alexnetOwt,
  caffeAlexnet,
  vgg11Bn,
  resnet18,
  squeezenet,
  mobilenetV2,
  efficientnetLite0,
  cifar18,
  cifar13,
  cifarVgg,
  cifarVggMiddle,
  cifarVggNarrow,
  airbench94,
  airbenchMuon,
  airbenchMiddle,
  airbenchNarrow,
  reluOrTanh,
  reluOrTanhTanh,
  alexnetCifarAll,
  ...alexnetCifarWithout,
];

/** @throws UsageError when no network has this name */
export function findNetwork(name: string): Network {
  const network = networks.find((candidate) => candidate.name === name);
  if (network) return network;
  const names = networks.map((candidate) => candidate.name);
  throw new UsageError(`no model is called "${name}"${suggest(name, names)}; there are ${names.join(", ")}`);
}
