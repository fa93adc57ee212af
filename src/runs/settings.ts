/**
 * A training's settings and their valid values, wherever they come from: the command line, a program that calls the
 * library, or a run's config.json, which may be a stranger's.
 */
import type { Fold } from "../data/dataset.ts";
import { AlexNetError, UsageError } from "../errors.ts";
import { networkFromJson, type NetworkJson } from "../net/definition.ts";
import { findNetwork } from "../net/networks.ts";
import { DEFAULT_OPTIMIZER } from "../net/optimizers.ts";
import { CUTS, type Cut } from "../net/parts.ts";
import { NO_AUGMENTATION, type Network, type ParameterGroup, type Recipe } from "../net/recipe.ts";
import { RECIPE_RULES } from "../net/recipe_rules.ts";
import { COUNT, FLAG, isRecord, numberThat, NUMBERS, orNull, rule, TEXT, WHOLE, type RulesOf } from "../rules.ts";

/** Every setting that decides the result of a training, as kept in a run's config.json. */
export interface TrainConfig extends Recipe {
  readonly network: string;
  /** The network's definition; null for one of this program's. */
  readonly definition: NetworkJson | null;
  readonly optimizer: string;
  /** The checkpoint it started from; null for random weights. */
  readonly from: string | null;
  readonly freeze: readonly string[];
  /** Whether normalisations keep using the statistics that they have. */
  readonly freezeStatistics: boolean;
  /** Of `epochs`, only as many are trained as fit into so many minutes; null: all. */
  readonly minutes: number | null;
  /** Training ends when the validation error has not improved for so many epochs; null: never. */
  readonly patience: number | null;
  /** Batches in a step, whose gradients are added up. */
  readonly accumulate: number;
  readonly groups: readonly ParameterGroup[];
  /** Absolute path; null for the built-in set. */
  readonly data: string | null;
  readonly val: string | null;
  readonly holdOut: number;
  /** Instead: which of several parts is held out. */
  readonly fold: Fold | null;
  readonly fraction: number;
  readonly limit: number | null;
  /** Images in an epoch; null for all. */
  readonly epochImages: number | null;
  readonly balance: number;
  readonly weights: Readonly<Record<string, number>> | null;
  /** The weight of each class in the loss, 1 for those not named; "balanced": in inverse proportion to its images. */
  readonly lossWeights: Readonly<Record<string, number>> | "balanced" | null;
  readonly seed: number;
  readonly split: Cut | null;
  /** What activations and their gradients are stored in. */
  readonly precision: "single" | "half";
  readonly device: string;
  readonly blas: boolean | null;
  readonly threads: number | null;
  readonly tune: boolean | null;
}

/** What each setting may be. */
export const SETTINGS: RulesOf<TrainConfig> = {
  network: TEXT,
  definition: orNull(isDefinition),
  from: orNull(TEXT),
  freeze: rule(
    (value) => Array.isArray(value) && value.every((name) => typeof name === "string"),
    "a list of layers' names",
  ),
  freezeStatistics: FLAG,
  minutes: orNull(numberThat((value) => value > 0, "above 0")),
  patience: orNull(COUNT),
  accumulate: COUNT,
  data: orNull(TEXT),
  val: orNull(TEXT),
  holdOut: numberThat((value) => value > 0 && value < 1, "between 0 and 1"),
  fold: orNull(rule(isFold, "the number of a part, from 1, and the number of parts, from 2")),
  fraction: numberThat((value) => value > 0 && value <= 1, "above 0 and at most 1"),
  limit: orNull(COUNT),
  epochImages: orNull(COUNT),
  balance: numberThat((value) => value >= 0 && value <= 1, "from 0 to 1"),
  weights: orNull(NUMBERS),
  lossWeights: orNull((value) => (value === "balanced" ? undefined : NUMBERS(value))),
  seed: WHOLE,
  split: orNull(rule((value) => (CUTS as readonly unknown[]).includes(value), `${CUTS.join(", ")}, or null`)),
  precision: rule((value) => value === "single" || value === "half", "single or half"),
  device: TEXT,
  blas: orNull(FLAG),
  threads: orNull(COUNT),
  tune: orNull(FLAG),
  ...RECIPE_RULES,
  // None after a new last layer has been trained.
  epochs: WHOLE,
};

/** @param nameOf what the user calls a setting @throws UsageError for the first setting that is invalid */
export function checkSettings(config: TrainConfig, nameOf: (setting: string) => string): void {
  for (const [setting, problemOf] of Object.entries(SETTINGS)) {
    const problem = problemOf(config[setting as keyof TrainConfig]);
    if (problem !== undefined) throw new UsageError(`${nameOf(setting)}${problem}`);
  }
}

/** Defaults of settings that runs of earlier versions lack. */
const LATER: Partial<TrainConfig> = {
  ...{
    from: null,
    freeze: [],
    freezeStatistics: false,
    minutes: null,
    patience: null,
    accumulate: 1,
    groups: [],
    fold: null,
    fraction: 1,
    limit: null,
    epochImages: null,
    balance: 0,
    weights: null,
    lossWeights: null,
  },
  precision: "single",
  ...{ split: null, blas: null, threads: null, tune: null, definition: null, optimizer: DEFAULT_OPTIMIZER },
};

/** Reads a run's config.json, of this or an earlier version. @throws UsageError for invalid settings */
export function parseConfig(json: unknown): TrainConfig {
  if (!isRecord(json)) throw new UsageError("it must hold an object of settings");
  const { augmentation, layerRates } = json;
  const config = Object.fromEntries(
    Object.keys(SETTINGS).map((setting) => [
      setting,
      setting in json ? json[setting] : LATER[setting as keyof TrainConfig],
    ]),
  );
  // What there was before there were groups.
  if (isRecord(layerRates)) config.groups = Object.entries(layerRates).map(([of, rate]) => ({ of, rate }));
  if (isRecord(augmentation)) config.augmentation = { ...NO_AUGMENTATION, ...augmentation };
  checkSettings(config as unknown as TrainConfig, (setting) => setting);
  return config as unknown as TrainConfig;
}

/** The network that a run trains. @throws UsageError for an unknown name without a definition */
export function networkOf({ network, definition }: Pick<TrainConfig, "network" | "definition">): Network {
  return definition === null ? findNetwork(network) : networkFromJson(definition, "definition");
}

function isFold(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(Number.isSafeInteger)) return false;
  const [fold, folds] = value as unknown as Fold;
  return fold >= 1 && fold <= folds && folds >= 2;
}

function isDefinition(value: unknown): string | undefined {
  try {
    networkFromJson(value, "");
    return undefined;
  } catch (error) {
    if (error instanceof AlexNetError) return error.message;
    throw error;
  }
}
