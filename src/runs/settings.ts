/**
 * What each setting of a training may be, whoever says it: the command line, a program that calls the library, or the
 * config.json of a run, which may be a stranger's.
 */
import { oneLine, UsageError } from "../errors.ts";
import { CUTS, type Cut } from "../net/parts.ts";
import { NO_AUGMENTATION, type Recipe } from "../net/recipe.ts";
import { show } from "../options.ts";
import { COUNT, FROM_ZERO, numberThat, rule, WHOLE, type Rule } from "../schema.ts";
import { isAugmentation } from "./augment_option.ts";

/** Every setting that decides the result of a training: what a run keeps in its config.json. */
export interface TrainConfig extends Recipe {
  readonly network: string;
  /** The checkpoint it began with; null for weights that were drawn. */
  readonly from: string | null;
  readonly freeze: readonly string[];
  readonly layerRates: Readonly<Record<string, number>>;
  /** Absolute path; null for the built-in set. */
  readonly data: string | null;
  readonly val: string | null;
  readonly holdOut: number;
  readonly fraction: number;
  readonly limit: number | null;
  readonly balance: number;
  readonly weights: Readonly<Record<string, number>> | null;
  readonly seed: number;
  readonly split: Cut | null;
  readonly device: string;
  readonly blas: boolean | null;
  readonly threads: number | null;
  readonly tune: boolean | null;
}

const orNull =
  (other: Rule): Rule =>
  (value) =>
    value === null ? undefined : other(value);

const TEXT = rule((value) => typeof value === "string", "text");
const FLAG = rule((value) => typeof value === "boolean", "true or false");

/** Numbers from 0 on, by name. */
const NUMBERS: Rule = (value) => {
  if (!isRecord(value)) return ` ${oneLine(show(value))}: must be numbers by name`;
  const wrong = Object.entries(value).find(([, each]) => FROM_ZERO(each) !== undefined);
  return wrong && `: ${show(oneLine(wrong[0]))} has ${oneLine(show(wrong[1]))}: must be a number from 0 on`;
};

/** Networks are finished in far fewer; a schedule of more would take its time at every step. */
const MAX_PHASES = 1000;

/** What each setting may be. */
export const SETTINGS: { readonly [K in keyof TrainConfig]: Rule } = {
  network: TEXT,
  from: orNull(TEXT),
  freeze: rule(
    (value) => Array.isArray(value) && value.every((name) => typeof name === "string"),
    "a list of layers' names",
  ),
  layerRates: NUMBERS,
  data: orNull(TEXT),
  val: orNull(TEXT),
  holdOut: numberThat((value) => value > 0 && value < 1, "between 0 and 1"),
  fraction: numberThat((value) => value > 0 && value <= 1, "above 0 and at most 1"),
  limit: orNull(COUNT),
  balance: numberThat((value) => value >= 0 && value <= 1, "from 0 to 1"),
  weights: orNull(NUMBERS),
  seed: WHOLE,
  split: orNull(rule((value) => (CUTS as readonly unknown[]).includes(value), `${CUTS.join(", ")}, or null`)),
  device: TEXT,
  blas: orNull(FLAG),
  threads: orNull(COUNT),
  tune: orNull(FLAG),
  epochs: COUNT,
  batch: COUNT,
  schedule: rule(isSchedule, "a schedule with its rates"),
  momentum: numberThat((value) => value >= 0 && value < 1, "at least 0 and below 1"),
  decay: FROM_ZERO,
  biasRate: FROM_ZERO,
  biasDecay: FLAG,
  augmentation: rule(isAugmentation, "the strengths of its parts"),
};

/** @param nameOf how the user knows a setting @throws UsageError for the first setting that makes no sense */
export function checkSettings(config: TrainConfig, nameOf: (setting: string) => string): void {
  for (const [setting, problemOf] of Object.entries(SETTINGS)) {
    const problem = problemOf(config[setting as keyof TrainConfig]);
    if (problem !== undefined) throw new UsageError(`${nameOf(setting)}${problem}`);
  }
}

/** Settings that a run which was begun before there were them does without. */
const LATER: Partial<TrainConfig> = {
  ...{ from: null, freeze: [], layerRates: {}, fraction: 1, limit: null, balance: 0, weights: null },
  ...{ split: null, blas: null, threads: null, tune: null },
};

/** The settings in a run's config.json, of any age. @throws UsageError for what makes no sense */
export function parseConfig(json: unknown): TrainConfig {
  if (!isRecord(json)) throw new UsageError("it holds no settings");
  const { augmentation } = json;
  const config = Object.fromEntries(
    Object.keys(SETTINGS).map((setting) => [
      setting,
      setting in json ? json[setting] : LATER[setting as keyof TrainConfig],
    ]),
  );
  if (isRecord(augmentation)) config.augmentation = { ...NO_AUGMENTATION, ...augmentation };
  checkSettings(config as unknown as TrainConfig, (setting) => setting);
  return config as unknown as TrainConfig;
}

function isSchedule(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { kind, rate, patience, drops, phases } = value;
  const isRate = (each: unknown) => typeof each === "number" && each > 0 && each < Infinity;
  switch (kind) {
    case "constant":
    case "cosine":
      return isRate(rate);
    case "plateau":
      return isRate(rate) && COUNT(patience) === undefined && WHOLE(drops) === undefined;
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
