/** The options of `train()` and of its command. */
import { dataset } from "../data/memory.ts";
import { DEVICE_OPTIONS } from "../devices/open.ts";
import { UsageError } from "../errors.ts";
import { readFileUpTo, reason } from "../io/files.ts";
import type { NetworkDraft } from "../net/definition.ts";
import { optimizerNames } from "../net/optimizers.ts";
import { CUTS } from "../net/parts.ts";
import type { Recipe } from "../net/recipe.ts";
import { RECIPE_RULES } from "../net/recipe_rules.ts";
import { command } from "../program.ts";
import { ABOVE_ZERO, type Rule } from "../rules.ts";
import { flag, number, numbers, oneOf, parsed, text, type OptionsOf } from "../schema.ts";
import { SETTINGS } from "./settings.ts";

export const TRAIN_OPTIONS = {
  /** A folder or archive, or a data set such as one of `datasetOf`; by default the built-in set. */
  data: dataset(
    "A folder, .tar or .tar.gz with a folder of images for each class (or train/ and val/ of these), ImageNet's archives, WebDataset shards, a .csv or .jsonl list, cifar10 or cifar100",
    { place: "word" },
  ),
  /** The validation set, if it is elsewhere. */
  val: dataset("The validation set, if it is elsewhere", { hint: "PATH" }),
  /** Share of the images held out for validation if the data has no val/. */
  holdOut: number("Share held out for validation if there is no val (0.1)", { hint: "SHARE", rule: SETTINGS.holdOut }),
  /** Instead: hold out one of several parts, such as [2, 5], the second fifth; `crossValidate` trains once for each. */
  fold: numbers(undefined, { rule: SETTINGS.fold }),
  /** Only this share of each class. */
  fraction: number("Use only this share of each class, in both splits (1)", { hint: "SHARE", rule: SETTINGS.fraction }),
  /** At most this many images in each split. */
  limit: number("Use at most this many images in each split", { hint: "N", rule: SETTINGS.limit }),
  /** Images in an epoch: those that were not seen yet come first. */
  epochImages: number("Images in an epoch, those not seen yet first (all)", { hint: "N", rule: SETTINGS.epochImages }),
  /** From 0, every image once per epoch, to 1, every class equally often. */
  balance: number("From 0, every image once per epoch, to 1, every class equally often (0)", {
    hint: "B",
    rule: SETTINGS.balance,
  }),
  /** How much more often the images of a class are seen, by class name; 1 for classes not named. */
  weights: parsed(
    "object",
    readWeights,
    'A JSON file: how much more often the images of a class are seen, {"cat": 2}',
    { hint: "FILE", rule: SETTINGS.weights },
  ),
  /** The weight of each class in the loss, by class name, 1 for classes not named; or "balanced". */
  lossWeights: parsed<Readonly<Record<string, number>> | "balanced">(
    "any",
    (word, flag) => (word === "balanced" ? word : readWeights(word, flag)),
    'How much an image of each class counts in the loss: balanced (in inverse proportion to the images of its class), or a JSON file, {"cat": 2}',
    { hint: "FILE", rule: SETTINGS.lossWeights },
  ),
  /** The network: its name, a .ts or .json file that defines one, or itself; by default one that suits the data. */
  model: parsed<string | NetworkDraft>(
    "any",
    (word) => word,
    `A network that \`${command("models")}\` lists, or a .ts or .json file that defines one`,
    { hint: "NAME" },
  ),
  /**
   * A run, a checkpoint, a weights file or a pretrained network to start from: its network, its mean image and all its
   * layers, except the last if the classes differ. By default "imagenet" for photos without `model`; "none" is from
   * scratch.
   */
  from: text(
    "Start from the weights of a run or file, or of a pretrained network; if the classes differ, the last layer is new (imagenet for photos; none: from scratch)",
    { hint: "RUN" },
  ),
  /** Layers that don't learn, as in "conv1,fc*". */
  freeze: text("Layers that don't learn: conv1,conv2 or conv*", { hint: "LAYERS" }),
  /** Whether batch normalisations use each batch's mean and variance, or keep those of the weights to start from. */
  statistics: oneOf(
    ["batch", "frozen"],
    "What batch normalisations use: batch, each batch's mean and variance, or frozen, those of trained weights (frozen with a new last layer)",
    { hint: "WHICH" },
  ),
  /**
   * Multiples of the learning rate by layer or parameter, as in "conv*=0.1,fc8=10,fc8.bias=20,biases=2"; the last that
   * is given for a parameter counts.
   */
  rates: text("Multiples of the rate by layer: conv*=0.1,fc8=10", { hint: "RATES" }),
  /** Multiples of the weight decay, likewise: "biases=0,scales=0". */
  decays: text("Multiples of the weight decay, likewise: biases=0,scales=0 (of normalisations)", { hint: "DECAYS" }),
  epochs: number("Number of epochs", { hint: "N", rule: SETTINGS.epochs }),
  /** As many epochs as fit into so many minutes on this machine; with `epochs`, at most those. */
  minutes: number(
    "As many epochs as fit into so many minutes (from weights for other classes 5, and 20 epochs at most)",
    {
      hint: "N",
      rule: SETTINGS.minutes,
    },
  ),
  /** Stop when the validation error has not improved for so many epochs. */
  patience: number("Stop when the validation error has not improved for so many epochs", {
    hint: "N",
    rule: SETTINGS.patience,
  }),
  /** What to change in the recipe that the network would be trained by; the options named after its parts go before it. */
  recipe: parsed<Partial<Recipe>>("object", () => ({}), undefined, { rule: recipeProblem }),
  /** Images per batch, which go through the network together. */
  batch: number("Batch size", { hint: "N", rule: SETTINGS.batch }),
  /** Batches per step: their gradients are added up, as those of one batch that has all their images. */
  accumulate: number("Batches whose gradients are added up to one step, for less memory (1)", {
    hint: "N",
    rule: SETTINGS.accumulate,
  }),
  /** Initial learning rate. */
  rate: number("Initial learning rate", { hint: "RATE", rule: ABOVE_ZERO }),
  /** "constant", "cosine", "triangular", "plateau" or "steps:30,60": divided by ten at these epochs. */
  schedule: text(
    "constant, cosine, triangular, plateau, or steps: and the epochs at which the rate is divided by ten (steps:30,60)",
    { hint: "HOW" },
  ),
  /** How long the rate rises, in a straight line, to that of the schedule: "5" or "5epochs", or "500steps". */
  warmup: parsed<string | number>(
    "any",
    (word) => word,
    "Let the rate rise in a straight line at first: for so many epochs (5), or steps (500steps)",
    { hint: "HOW" },
  ),
  /** What moves the weights along their gradients: "sgd", "nesterov", "adamw" or "muon"; the network's recipe says if not given. */
  optimizer: oneOf(optimizerNames, "What moves the weights: sgd, nesterov, adamw (at a rate of 0.001) or muon (0.02)", {
    hint: "NAME",
  }),
  /** "ema", "lookahead" or "none", and with = the averages' decay or how many steps they are apart. */
  average: text(
    "Averages of the weights: ema (of all steps; they are validated), lookahead (every 5 steps, taken over), or none (ema=0.999)",
    { hint: "WHAT" },
  ),
  momentum: number("Momentum", { hint: "M", rule: SETTINGS.momentum }),
  /** Weight decay. */
  decay: number("Weight decay", { hint: "D", rule: SETTINGS.decay }),
  /** "paper", "modern" or "none", and parts with their values, separated by commas: see src/runs/augment_option.ts. */
  augment: text(
    "paper, modern or none, and parts with values to change: crop, pad, mirror, alternate, colour, resized-crop, jitter, erase, mixup, cutmix, smooth (paper,colour=0.05)",
    { hint: "WHAT" },
  ),
  /** The same seed on the same device gives the same bytes. */
  seed: number("The same seed on the same device gives the same bytes (0)", { hint: "N", rule: SETTINGS.seed }),
  /** How the network is split across ranks: "towers", "owt", or "none": each has all of it. */
  split: oneOf(
    [...CUTS, "none"],
    "How to split the network across ranks: towers (two halves, as in 2012), owt (fully connected layers by units), none",
    { hint: "HOW" },
  ),
  /** "half" stores activations and their gradients in half precision; weights and sums stay in single. */
  precision: oneOf(
    ["single", "half"],
    "What activations are stored in: half needs half the memory for them, on GPUs that have it (single)",
    { hint: "HOW" },
  ),
  ...DEVICE_OPTIONS,
  /** The folder of the run; by default runs/MODEL-1, -2, …. */
  out: text("Folder for the run (runs/MODEL-1, -2, …)", { hint: "FOLDER" }),
  /** A run to resume: a path, a name in runs/, or "latest". `data` and `val` then say where its data are now. */
  resume: text("Resume a run: its folder, or nothing for the newest", { hint: "RUN", bare: "latest" }),
  /** With `resume`: continue with the run's remaining images if some were added, removed or changed. */
  allowChangedData: flag(
    "With --resume: continue with the run's remaining images if some were added, removed or changed",
  ),
};

/** All of it can be left out. */
export interface TrainOptions extends OptionsOf<typeof TRAIN_OPTIONS> {}

/** What is wrong with parts of a recipe. */
function recipeProblem(recipe: unknown): ReturnType<Rule> {
  for (const [name, value] of Object.entries(recipe as object)) {
    const rule = Object.hasOwn(RECIPE_RULES, name) ? RECIPE_RULES[name as keyof Recipe] : undefined;
    const problem = rule ? rule(value) : ": is no part of a recipe";
    if (problem !== undefined) return `, ${name}${problem}`;
  }
  return undefined;
}

/** Larger files are not class weights. */
const MAX_WEIGHTS_BYTES = 16 * 2 ** 20;

/** @throws UsageError when it is not a JSON object */
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
