/** A network, and the recipe that it is trained by. */
import type { Average } from "./later/average.ts";
import type { Warmup } from "./later/warmup.ts";
import type { Rows } from "./layer.ts";

/** Pillow's filters of these names. */
export const RESIZE_FILTERS = ["bilinear", "bicubic"] as const;
export type ResizeFilter = (typeof RESIZE_FILTERS)[number];

export interface Network {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Side of the square images it sees. */
  readonly crop: number;
  /** Side of the square images that these are cropped from. */
  readonly record: number;
  /** The filter by which photos are resized to these; bilinear if not given. */
  readonly resize?: ResizeFilter;
  /** Number of classes, unless the data has another. */
  readonly classes: number;
  readonly recipe: Recipe;
  layers(classes: number): Rows;
}

export interface Recipe {
  readonly batch: number;
  readonly epochs: number;
  readonly schedule: Schedule;
  /** During this the rate rises to that of the schedule; none if not given. */
  readonly warmup?: Warmup;
  /** By its name in src/net/optimizers.ts; SGD if not given. */
  readonly optimizer?: string;
  /** What is averaged over the steps; nothing if not given. */
  readonly average?: Average;
  readonly momentum: number;
  readonly decay: number;
  /** Biases learn at this multiple of the rate. */
  readonly biasRate: number;
  /** Whether weight decay applies to biases too. */
  readonly biasDecay: boolean;
  /** Parameters that learn otherwise. Where a parameter is in several groups, the last that says something counts. */
  readonly groups?: readonly ParameterGroup[];
  readonly augmentation: Augmentation;
}

/** As PyTorch's parameter groups, with settings relative to those of the recipe. */
export interface ParameterGroup {
  /**
   * Names of layers or parameters, with a wildcard, or "weights", "biases", "scales" (of normalisations): "conv*,fc.bias".
   */
  readonly of: string;
  /** Multiple of the learning rate that they would have. */
  readonly rate?: number;
  /** Multiple of their weight decay. */
  readonly decay?: number;
}

/** How training images are varied; src/data/augmentation.ts, which draws the variations, explains the numbers. */
export interface Augmentation {
  /** Random crops; otherwise the centre crop. */
  readonly crop: boolean;
  /** Instead of `crop`: random crops of the image continued by this many pixels on each side, by reflection; 0 for none. */
  readonly pad: number;
  readonly mirror: boolean;
  /** Instead of `mirror`: each image's mirror image in every other epoch. */
  readonly alternate: boolean;
  /** Standard deviation of the PCA colour noise's factors [P §4.1], 0 for none. */
  readonly colour: number;
  /** How many consecutive images share one crop position. */
  readonly sharedCrop: number;
  /** Divides the image after the noise has been added. */
  readonly divideBy: number;
  /** Replaces `crop` by random resized crops of at least this share of the image's area; 0 for none. */
  readonly resizedCrop: number;
  /** How far brightness, contrast and saturation go from 1; hues go a quarter as far, in turns. 0 for no jitter. */
  readonly jitter: number;
  /** The probability that a rectangle is erased. */
  readonly erase: number;
  /**
   * α of the Beta distribution for mixing two images (mixup) or pasting a box of one into another (cutmix); 0 for none.
   * The reported training loss is then that of both labels, while training errors count only an image's own label: both
   * are far above those of validation.
   */
  readonly mixup: number;
  readonly cutmix: number;
  /** ε, the share of a label that is spread over all classes. */
  readonly smooth: number;
}

/**
 * The course of the learning rate: "plateau" divides it by ten when the validation error has not improved for
 * `patience` epochs, at most `drops` times [P §5]; "phases" lists rates with the epochs, from 0, at which they begin;
 * "cosine" falls from the rate to zero over the run; "triangular" rises in a straight line from `start` times the rate
 * to all of it at `peak`, a share of the run, and falls to `end` times the rate.
 */
export type Schedule =
  | { readonly kind: "constant" | "cosine"; readonly rate: number }
  | { readonly kind: "plateau"; readonly rate: number; readonly patience: number; readonly drops: number }
  | {
      readonly kind: "triangular";
      readonly rate: number;
      readonly start: number;
      readonly peak: number;
      readonly end: number;
    }
  | { readonly kind: "phases"; readonly phases: readonly Phase[] };

export interface Phase {
  readonly from: number;
  readonly rate: number;
  /** Rates of single layers; 0 freezes a layer. */
  readonly rates?: Readonly<Record<string, number>>;
  /** false: no colour noise in this phase. */
  readonly colour?: false;
}

export const NO_AUGMENTATION: Augmentation = {
  ...{ crop: false, pad: 0, mirror: false, alternate: false, colour: 0, sharedCrop: 1, divideBy: 1 },
  ...{ resizedCrop: 0, jitter: 0, erase: 0, mixup: 0, cutmix: 0, smooth: 0 },
};

/** Crop, mirror and colour noise of [P §4.1]. */
export const PAPER_AUGMENTATION: Augmentation = { ...NO_AUGMENTATION, crop: true, mirror: true, colour: 0.1 };

/** What image classifiers have been trained with since, with the numbers of torchvision's and timm's recipes. */
export const MODERN_AUGMENTATION: Augmentation = {
  ...NO_AUGMENTATION,
  ...{ mirror: true, resizedCrop: 0.08, jitter: 0.4, erase: 0.25, mixup: 0.2, cutmix: 1, smooth: 0.1 },
};

/** [P §3.3] */
export const PAPER_LRN = { n: 5, k: 2, alpha: 1e-4, beta: 0.75 };
