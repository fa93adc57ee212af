/** What a person can say to a training: the options of `train()` and of its command, with what each may be. */
import { DEVICE_OPTIONS } from "../devices/open.ts";
import { UsageError } from "../errors.ts";
import { readFileUpTo, reason } from "../io/files.ts";
import type { NetworkDraft } from "../net/definition.ts";
import { optimizerNames } from "../net/optimizers.ts";
import { CUTS } from "../net/parts.ts";
import { ABOVE_ZERO } from "../rules.ts";
import { flag, number, oneOf, parsed, text, type OptionsOf } from "../schema.ts";
import { SETTINGS } from "./settings.ts";

export const TRAIN_OPTIONS = {
  /** A folder or archive; without it the built-in set. */
  data: text(
    "A folder, .tar or .tar.gz with a folder of images for each class (or train/ and val/ of such), ImageNet's archives, WebDataset's shards, a .csv or .jsonl list, cifar10 or cifar100",
    { place: "word" },
  ),
  /** Another set to validate with. */
  val: text("Another set to validate with", { hint: "PATH" }),
  /** Share of the images held out for validation where the data has no val/. */
  holdOut: number("Share held out for validation if there is no val (0.1)", { hint: "SHARE", rule: SETTINGS.holdOut }),
  /** Only this share of each class. */
  fraction: number("Only this share of each class, of both parts (1)", { hint: "SHARE", rule: SETTINGS.fraction }),
  /** At most this many images of each part. */
  limit: number("At most this many images of each part", { hint: "N", rule: SETTINGS.limit }),
  /** From 0, every image once an epoch, to 1, every class equally often. */
  balance: number("0: every image once an epoch; 1: every class equally often; or between them (0)", {
    hint: "B",
    rule: SETTINGS.balance,
  }),
  /** How much more often than others the images of a class are seen, by its name; 1 for those that are not named. */
  weights: parsed(
    "object",
    readWeights,
    'A JSON file: how much more often the images of a class are seen, {"cat": 2}',
    { hint: "FILE", rule: SETTINGS.weights },
  ),
  /** The network: its name, a .ts or .json file that defines one, or the network itself. One that suits the data if not given. */
  model: parsed<string | NetworkDraft>(
    "any",
    (word) => word,
    "What `bun run models` lists, or a .ts or .json file that defines a network",
    { hint: "NAME" },
  ),
  /**
   * A run or checkpoint whose weights to begin with: its network, its mean image, and all layers but the last if the
   * classes are others.
   */
  from: text("Begin with the weights of a run or checkpoint; for other classes its last layer is new", { hint: "RUN" }),
  /** Layers that don't learn, as in "conv1,fc*". */
  freeze: text("Layers that don't learn: conv1,conv2 or conv*", { hint: "LAYERS" }),
  /** Multiples of the learning rate by layer, as in "conv*=0.1,fc8=10". */
  rates: text("Multiples of the rate by layer: conv*=0.1,fc8=10", { hint: "RATES" }),
  /** How often every image is seen. */
  epochs: number("How often every image is seen", { hint: "N", rule: SETTINGS.epochs }),
  /** Images a step. */
  batch: number("Images a step", { hint: "N", rule: SETTINGS.batch }),
  /** Learning rate at the start. */
  rate: number("Learning rate at the start", { hint: "RATE", rule: ABOVE_ZERO }),
  /** "constant", "cosine", "plateau" or "steps:30,60": divided by ten at the start of these epochs. */
  schedule: text(
    "constant, cosine, plateau, or steps: and the epochs at which the rate is divided by ten (steps:30,60)",
    { hint: "HOW" },
  ),
  /** What moves the weights along their gradients: "sgd", "nesterov" or "adamw"; the network's recipe says if not given. */
  optimizer: oneOf(optimizerNames, "What moves the weights: sgd, nesterov or adamw (adamw at a rate of 0.001)", {
    hint: "NAME",
  }),
  momentum: number("Momentum", { hint: "M", rule: SETTINGS.momentum }),
  /** Weight decay. */
  decay: number("Weight decay", { hint: "D", rule: SETTINGS.decay }),
  /** "paper", "modern" or "none", and parts with their values, separated by commas: see src/runs/augment_option.ts. */
  augment: text(
    "paper, modern or none, and parts with values that change it: crop, mirror, colour, resized-crop, jitter, erase, mixup, cutmix, smooth (paper,colour=0.05)",
    { hint: "WHAT" },
  ),
  /** The same seed on the same device gives the same bytes. */
  seed: number("The same seed on the same device gives the same bytes (0)", { hint: "N", rule: SETTINGS.seed }),
  /** How the network is cut where several ranks train it: "towers", "owt", or "none": all have all of it. */
  split: oneOf(
    [...CUTS, "none"],
    "How several ranks cut the network: towers (two halves, as in 2012), owt (fully connected layers by units), none",
    { hint: "HOW" },
  ),
  ...DEVICE_OPTIONS,
  /** The folder of the run; runs/MODEL-1, -2, … if not given. */
  out: text("Folder for the run (runs/MODEL-1, -2, …)", { hint: "FOLDER" }),
  /** A run to go on with: a path, a name in runs/, or "latest". With it `data` and `val` say where its data lie now. */
  resume: text("Go on with a run: its folder, or nothing for the newest", { hint: "RUN", bare: "latest" }),
  /** With `resume`: to go on also where images were added, removed or changed, with those of the run that are left. */
  allowChangedData: flag(
    "With --resume: go on although images were added, removed or changed, with those of the run that are left",
  ),
};

/** All of it can be left out. */
export interface TrainOptions extends OptionsOf<typeof TRAIN_OPTIONS> {}

/** Larger is no file of class weights. */
const MAX_WEIGHTS_BYTES = 16 * 2 ** 20;

/** @throws UsageError when it is no JSON object */
function readWeights(path: string, flag: string): Readonly<Record<string, number>> {
  let weights: unknown;
  try {
    weights = JSON.parse(readFileUpTo(path, MAX_WEIGHTS_BYTES).toString("utf8"));
  } catch (error) {
    throw new UsageError(`${flag} ${path}: ${reason(error)}`, { cause: error });
  }
  if (typeof weights !== "object" || weights === null || Array.isArray(weights)) {
    throw new UsageError(`${flag} ${path}: must hold class names and numbers, as in {"cat": 2}`);
  }
  return weights as Record<string, number>;
}
