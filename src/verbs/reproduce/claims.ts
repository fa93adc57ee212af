/**
 * The paper's claims that can be tried on CIFAR-10: which networks are trained for each, for how long, and what is
 * compared. [P] is the paper (NIPS 2012); figures of the 2012 program on CIFAR-10 are from its own notes.
 */
import type { ViewCount } from "../../data/augmentation.ts";

/** One side of a comparison: what is trained, and how it is tested. */
export interface Arm {
  readonly name: string;
  readonly model: string;
  /** As for `train --augment` and `--rate`; by default the network's recipe. */
  readonly augment?: string;
  readonly rate?: number;
  /** Views of each test image; by default 1. */
  readonly views?: ViewCount;
}

/** Length of a training. The limit also applies to the test images. */
export interface Size {
  /** Distinguishes its runs from others of the same network. */
  readonly name?: string;
  readonly epochs: number;
  readonly limit?: number;
}

export interface Statement {
  readonly name: string;
  /** The claim, and its section. */
  readonly says: string;
  /** The paper's figures. */
  readonly paper: string;
}

/**
 * Compares two trainings: of the same length by their test errors after the last epoch, or by the epochs they need to
 * reach a training error.
 */
export interface ArmComparison extends Statement {
  readonly arms: readonly [Arm, Arm];
  readonly until?: { readonly trainError: number };
  readonly sizes: { readonly default: Size; readonly full: Size };
}

/** The lowest test error after so many seconds of training; the speed is measured first, to choose the length. */
export interface Race extends Statement {
  readonly arms: readonly [Arm];
  readonly seconds: number;
}

export type Claim = ArmComparison | Race;

export const isRace = (claim: Claim): claim is Race => "seconds" in claim;

const LENGTHS: ArmComparison["sizes"] = { default: { epochs: 10, limit: 10_000 }, full: { epochs: 60 } };

/** Where overfitting is what is claimed: so few images, so often, that a network can learn them by heart. */
const OVERFITTING: ArmComparison["sizes"] = {
  default: { name: "long", epochs: 60, limit: 5000 },
  full: { epochs: 60 },
};

/** The baseline that each variant is compared with; trained once for all claims. */
const WHOLE: Arm = { name: "the whole network", model: "alexnet-cifar" };

export const CLAIMS: readonly Claim[] = [
  {
    name: "relu",
    says: "Networks with ReLUs learn several times faster than with tanh (§3.1)",
    paper: "six times as fast to 25% training error (Fig. 1)",
    until: { trainError: 0.25 },
    arms: [
      { name: "ReLU", model: "relu-or-tanh" },
      { name: "tanh", model: "relu-or-tanh-tanh" },
    ],
    sizes: { default: { epochs: 40, limit: 5000 }, full: { epochs: 60 } },
  },
  {
    name: "lrn",
    says: "Response normalisation lowers the error (§3.3)",
    paper: "11% with, 13% without, on CIFAR-10; 1.4 points on ImageNet",
    arms: [
      { ...WHOLE, name: "with LRN" },
      { name: "without", model: "alexnet-cifar-no-lrn" },
    ],
    sizes: LENGTHS,
  },
  {
    name: "pooling",
    says: "Pooling windows that overlap lower the error (§3.4)",
    paper: "0.4 points on ImageNet",
    arms: [
      { ...WHOLE, name: "3 × 3 at a stride of 2" },
      { name: "2 × 2 at a stride of 2", model: "alexnet-cifar-plain-pool" },
    ],
    sizes: LENGTHS,
  },
  {
    name: "dropout",
    says: "Without dropout the network overfits; with it, it takes twice as long (§4.2)",
    paper: "no figure",
    arms: [
      { ...WHOLE, name: "with dropout" },
      { name: "without", model: "alexnet-cifar-no-dropout" },
    ],
    sizes: OVERFITTING,
  },
  {
    name: "augmentation",
    says: "Without crops, mirror images and colour noise the network overfits (§4.1)",
    paper: "no figure; colour noise alone 1 point on ImageNet",
    arms: [
      { ...WHOLE, name: "with augmentation" },
      { name: "without", model: "alexnet-cifar", augment: "none" },
    ],
    sizes: OVERFITTING,
  },
  {
    name: "views",
    says: "The mean over ten views beats one view (§4.1, §6)",
    paper: "37.5% against 39.0% on ILSVRC-2010",
    arms: [
      { ...WHOLE, name: "ten views", views: 10 },
      { ...WHOLE, name: "the centre" },
    ],
    sizes: LENGTHS,
  },
  {
    name: "depth",
    says: "Depth matters: without a middle layer the error rises (§7)",
    paper: "about 2 points on ImageNet",
    arms: [
      { ...WHOLE, name: "four convolutions" },
      { name: "three", model: "alexnet-cifar-no-conv3" },
    ],
    sizes: LENGTHS,
  },
  {
    name: "cifar-80s",
    says: "The lowest error on CIFAR-10 that 80 seconds can buy",
    paper: "26% in 80 s of a GTX 580 (cuda-convnet's layers-80sec)",
    seconds: 80,
    arms: [{ name: "ours", model: "cifar10-airbench-narrow", views: 6 }],
  },
  {
    name: "cifar-20min",
    says: "The lowest error on CIFAR-10 that 20 minutes can buy",
    paper: "18% in 20 min of a GTX 580 (cuda-convnet's layers-18pct)",
    seconds: 1200,
    arms: [{ name: "ours", model: "cifar10-airbench-muon", views: 6 }],
  },
];
