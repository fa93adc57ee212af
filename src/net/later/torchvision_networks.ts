/**
 * What followed AlexNet, as torchvision builds it (github.com/pytorch/vision, torchvision/models): with its names, its
 * initial weights, and the recipes of its references/classification.
 */
import type { Layer, Rows } from "../layer.ts";
import {
  batchNorm,
  concat,
  conv,
  divide,
  dropout,
  fc,
  globalAveragePool,
  maxPool,
  relu,
  residual,
} from "../layers/index.ts";
import { NO_AUGMENTATION, type Network, type Recipe, type Schedule } from "../recipe.ts";

export const TORCHVISION_RECIPE: Recipe = {
  batch: 256,
  epochs: 90,
  schedule: stepsFrom(0.1),
  momentum: 0.9,
  decay: 0.0001,
  biasRate: 1,
  biasDecay: true,
  augmentation: { ...NO_AUGMENTATION, resizedCrop: 0.08, mirror: true },
};

/** A tenth of the rate after 30 epochs, and of that after 60. */
function stepsFrom(rate: number): Schedule {
  return { kind: "phases", phases: [0, 30, 60].map((from, i) => ({ from, rate: rate / 10 ** i })) };
}

/** What all of them have in common. */
export const PHOTOS = { crop: 224, record: 256, classes: 1000, recipe: TORCHVISION_RECIPE };

/**
 * To pixels of about deviation 1, for which the networks of torchvision were made, and their rates. Weights of theirs
 * would otherwise have to be as much smaller, and learn far too fast.
 */
export const toUnit = (): Layer => divide(58);

/** He initialisation by the outputs, `kaiming_normal_(weight, mode="fan_out")`. */
export const fanOut = (filters: number, size: number): number => Math.sqrt(2 / (filters * size * size));

/** A convolution that keeps the side, or halves it at a stride of 2. Its biases are left out: the norm has a shift. */
function convNorm(name: string, norm: string, maps: number, size: number, stride = 1): Rows {
  const options = { stride, pad: (size - 1) / 2, sigma: fanOut(maps, size), bias: false } as const;
  return [conv(name, maps, size, options), batchNorm(norm)];
}

/** Two convolutions with a shortcut (arXiv 1512.03385, Fig. 2), which is a 1×1 convolution where they halve the side. */
function basicBlock(name: string, maps: number, stride = 1): Rows {
  const body = [
    [convNorm(`${name}.conv1`, `${name}.bn1`, maps, 3, stride), relu()],
    convNorm(`${name}.conv2`, `${name}.bn2`, maps, 3),
  ];
  const shortcut = stride === 1 ? [] : convNorm(`${name}.downsample.0`, `${name}.downsample.1`, maps, 1, stride);
  return [residual(name, body, shortcut), relu()];
}

export const resnet18: Network = {
  ...PHOTOS,
  name: "resnet18",
  about: "eight residual blocks with batch normalisation (arXiv 1512.03385)",
  layers: (classes) => [
    [toUnit(), convNorm("conv1", "bn1", 64, 7, 2), relu(), maxPool(3, 2, { pad: 1, round: "down" })],
    [basicBlock("layer1.0", 64), basicBlock("layer1.1", 64)],
    [basicBlock("layer2.0", 128, 2), basicBlock("layer2.1", 128)],
    [basicBlock("layer3.0", 256, 2), basicBlock("layer3.1", 256)],
    [basicBlock("layer4.0", 512, 2), basicBlock("layer4.1", 512), globalAveragePool()],
    fc("fc", classes, { sigma: "fan-in" }),
  ],
};

export const vgg11Bn: Network = {
  ...PHOTOS,
  name: "vgg11_bn",
  about: "eight layers of 3×3 filters with batch normalisation, three fully connected ones (arXiv 1409.1556)",
  recipe: { ...TORCHVISION_RECIPE, schedule: stepsFrom(0.01) },
  layers: (classes) => {
    // A layer of features takes three of torchvision's numbers, for the filters, their norm and ReLU.
    const layer = (number: number, maps: number): Rows => [
      [conv(`features.${number}`, maps, 3, { pad: 1, sigma: fanOut(maps, 3) }), batchNorm(`features.${number + 1}`)],
      relu(),
    ];
    const halve = () => maxPool(2, 2, { round: "down" });
    return [
      [toUnit(), layer(0, 64), halve()],
      [layer(4, 128), halve()],
      [layer(8, 256), layer(11, 256), halve()],
      [layer(15, 512), layer(18, 512), halve()],
      [layer(22, 512), layer(25, 512), halve()],
      [fc("classifier.0", 4096, { sigma: 0.01 }), relu(), dropout()],
      [fc("classifier.3", 4096, { sigma: 0.01 }), relu(), dropout()],
      fc("classifier.6", classes, { sigma: 0.01 }),
    ];
  },
};

/** 1×1 filters to few maps, and from these 1×1 and 3×3 filters side by side (arXiv 1602.07360 §3.2). */
function fire(name: string, squeezed: number, expanded: number): Rows {
  const start = { sigma: "kaiming-uniform" } as const;
  return [
    [conv(`${name}.squeeze`, squeezed, 1, start), relu()],
    concat(name, [
      [conv(`${name}.expand1x1`, expanded, 1, start), relu()],
      [conv(`${name}.expand3x3`, expanded, 3, { pad: 1, ...start }), relu()],
    ]),
  ];
}

export const squeezenet: Network = {
  ...PHOTOS,
  name: "squeezenet1_1",
  about: "fire modules: AlexNet's accuracy with a fiftieth of its parameters (arXiv 1602.07360)",
  // github.com/forresti/SqueezeNet, SqueezeNet_v1.1/solver.prototxt, whose rate falls to 0 in a straight line.
  recipe: {
    ...TORCHVISION_RECIPE,
    ...{ batch: 512, epochs: 68, decay: 0.0002, schedule: { kind: "cosine", rate: 0.04 } },
    augmentation: { ...NO_AUGMENTATION, crop: true, mirror: true },
  },
  layers: (classes) => {
    const shrink = () => maxPool(3, 2);
    return [
      [toUnit(), conv("features.0", 64, 3, { stride: 2, sigma: "kaiming-uniform" }), relu(), shrink()],
      [fire("features.3", 16, 64), fire("features.4", 16, 64), shrink()],
      [fire("features.6", 32, 128), fire("features.7", 32, 128), shrink()],
      [fire("features.9", 48, 192), fire("features.10", 48, 192)],
      [fire("features.11", 64, 256), fire("features.12", 64, 256)],
      [dropout(), conv("classifier.1", classes, 1, { sigma: 0.01 }), relu(), globalAveragePool()],
    ];
  },
};
