/** Networks for CIFAR-10 of 3×3 filters in pairs, after VGG (arXiv 1409.1556). */
import { CIFAR_RECIPE, he } from "../cifar_networks.ts";
import type { Rows } from "../layer.ts";
import { averagePool, conv, divide, fc, maxPool, relu } from "../layers/index.ts";
import { NO_AUGMENTATION, type Network, type Recipe } from "../recipe.ts";

/** Six layers of 3×3 filters in three pairs; `widths` are the maps of each pair. */
function vgg(name: string, about: string, widths: readonly [number, number, number], recipe: Partial<Recipe>): Network {
  return {
    name,
    about,
    crop: 28,
    record: 32,
    classes: 10,
    recipe: {
      ...CIFAR_RECIPE,
      ...{ decay: 0.0005, biasRate: 1, augmentation: { ...NO_AUGMENTATION, crop: true, mirror: true } },
      ...recipe,
    },
    layers: (classes) => {
      const pair = (number: number, inputs: number, maps: number): Rows => [
        [conv(`conv${number}`, maps, 3, { pad: 1, sigma: he(inputs) }), relu()],
        [conv(`conv${number + 1}`, maps, 3, { pad: 1, sigma: he(maps) }), relu()],
      ];
      const [a, b, c] = widths;
      return [
        [divide(64), pair(1, 3, a), maxPool(3, 2)],
        [pair(3, a, b), maxPool(3, 2)],
        [pair(5, b, c), averagePool(7, 7)],
        fc("fc7", classes, { sigma: 0.05 }),
      ];
    },
  };
}

export const cifarVgg = vgg("cifar10-vgg", "six layers of 3×3 filters on random 28×28 crops", [48, 96, 128], {
  epochs: 24,
  schedule: { kind: "cosine", rate: 0.05 },
});

export const cifarVggMiddle = vgg(
  "cifar10-vgg-middle",
  "the same with fewer maps, for 20 minutes of training",
  [32, 64, 128],
  { batch: 64, epochs: 18, schedule: { kind: "cosine", rate: 0.04 } },
);

export const cifarVggNarrow = vgg("cifar10-vgg-narrow", "the same with still fewer, for 80 seconds", [16, 32, 64], {
  batch: 32,
  epochs: 5,
  schedule: { kind: "cosine", rate: 0.03 },
});
