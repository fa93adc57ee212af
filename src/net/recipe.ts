/** What a network is, and what the recipe is made of that it is trained by. */
import type { Rows } from "./layer.ts";

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
  layers(classes: number): Rows;
}

export interface Recipe {
  readonly batch: number;
  readonly epochs: number;
  readonly schedule: Schedule;
  /** By its name in src/net/optimizers.ts; SGD if not given. */
  readonly optimizer?: string;
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

/** [P §3.3] */
export const PAPER_LRN = { n: 5, k: 2, alpha: 1e-4, beta: 0.75 };
