/** The valid values of a recipe's settings. */
import {
  COUNT,
  FLAG,
  FROM_ZERO,
  isRecord,
  numberThat,
  NUMBERS,
  optional,
  rule,
  WHOLE,
  type RulesOf,
} from "../rules.ts";
import { isAverage } from "./later/average.ts";
import { groupsProblem } from "./later/groups.ts";
import { isWarmup } from "./later/warmup.ts";
import { optimizerNames } from "./optimizers.ts";
import type { Augmentation, Recipe } from "./recipe.ts";

/** A part of an augmentation that can be switched on separately. */
export interface AugmentationPart {
  readonly key: Exclude<keyof Augmentation, "sharedCrop" | "divideBy">;
  /** Its value if none is given. */
  readonly usual: number;
  /** Its largest value; 0 switches any part off. */
  readonly most: number;
  /** Whether it is counted: only whole numbers. */
  readonly isWhole?: true;
  /** Its range, for people. */
  readonly values: string;
}

/** 0 or 1; in a recipe, true or false. */
export const SWITCH = { usual: 1, most: 1, isWhole: true, values: "0 or 1" } as const;

/** By their names in --augment. */
export const AUGMENTATION_PARTS: Readonly<Record<string, AugmentationPart>> = {
  crop: { key: "crop", ...SWITCH },
  pad: { key: "pad", usual: 2, most: 64, isWhole: true, values: "a whole number of pixels from 0 to 64" },
  mirror: { key: "mirror", ...SWITCH },
  alternate: { key: "alternate", ...SWITCH },
  colour: { key: "colour", usual: 0.1, most: 10, values: "a standard deviation from 0 to 10" },
  "resized-crop": { key: "resizedCrop", usual: 0.08, most: 1, values: "the smallest share of the area, from 0 to 1" },
  jitter: { key: "jitter", usual: 0.4, most: 1, values: "a strength from 0 to 1" },
  erase: { key: "erase", usual: 0.25, most: 1, values: "a probability from 0 to 1" },
  mixup: { key: "mixup", usual: 0.2, most: 100, values: "the α of a Beta distribution, from 0 to 100" },
  cutmix: { key: "cutmix", usual: 1, most: 100, values: "the α of a Beta distribution, from 0 to 100" },
  smooth: { key: "smooth", usual: 0.1, most: 0.9, values: "a share of the label from 0 to 0.9" },
};

/** Far more than any training needs; a longer list would slow down every step. */
const MAX_PHASES = 1000;

export const RECIPE_RULES: RulesOf<Recipe> = {
  epochs: COUNT,
  batch: COUNT,
  schedule: rule(isSchedule, "a schedule with its rates"),
  warmup: optional(rule(isWarmup, "a number of epochs or of steps")),
  optimizer: optional(rule((value) => optimizerNames.includes(value as string), optimizerNames.join(", "))),
  average: optional(rule(isAverage, "averages of the weights with their decay")),
  momentum: numberThat((value) => value >= 0 && value < 1, "at least 0 and below 1"),
  decay: FROM_ZERO,
  biasRate: FROM_ZERO,
  biasDecay: FLAG,
  groups: optional(groupsProblem),
  augmentation: rule(isAugmentation, "the strengths of its parts"),
};

function isAugmentation(value: unknown): value is Augmentation {
  const found = (value ?? {}) as Augmentation;
  const { sharedCrop, divideBy } = found;
  return (
    Object.values(AUGMENTATION_PARTS).every(({ key, most, isWhole, values }) => {
      const strength = found[key];
      return values === SWITCH.values
        ? typeof strength === "boolean"
        : typeof strength === "number" && strength >= 0 && strength <= most && (!isWhole || Number.isInteger(strength));
    }) &&
    Number.isSafeInteger(sharedCrop) &&
    sharedCrop > 0 &&
    Number.isFinite(divideBy) &&
    divideBy > 0
  );
}

function isSchedule(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { kind, rate, patience, drops, phases, start, peak, end } = value;
  const isRate = (each: unknown) => typeof each === "number" && each > 0 && each < Infinity;
  const isShare = (each: unknown) => typeof each === "number" && each >= 0 && each <= 1;
  switch (kind) {
    case "constant":
    case "cosine":
      return isRate(rate);
    case "plateau":
      return isRate(rate) && COUNT(patience) === undefined && WHOLE(drops) === undefined;
    case "triangular":
      return isRate(rate) && [start, peak, end].every(isShare) && peak !== 0 && peak !== 1;
    case "phases":
      return Array.isArray(phases) && phases.length > 0 && phases.length <= MAX_PHASES && phases.every(isPhase);
    default:
      return false;
  }
}

function isPhase(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { from, rate, rates = {}, colour } = value;
  const isColour = colour === undefined || colour === false;
  return [WHOLE(from), FROM_ZERO(rate), NUMBERS(rates)].every((problem) => problem === undefined) && isColour;
}
