/** Makes a training's configuration, every setting that decides the result, from its options; config.json keeps it. */
import type { Fold } from "../data/dataset.ts";
import { locate } from "../data/open.ts";
import { UsageError } from "../errors.ts";
import { networkToJson } from "../net/definition.ts";
import { groupsNamed } from "../net/later/groups.ts";
import { layersNamed, learningLayers } from "../net/layer_names.ts";
import { networks } from "../net/networks.ts";
import { DEFAULT_OPTIMIZER, findOptimizer } from "../net/optimizers.ts";
import type { Average } from "../net/later/average.ts";
import { isWarmup, type Warmup } from "../net/later/warmup.ts";
import type { Network, Recipe, Schedule } from "../net/recipe.ts";
import { option, setting } from "../option_names.ts";
import { makeAugmentation } from "./augment_option.ts";
import { checkSettings, networkOf, type TrainConfig } from "./settings.ts";
import type { TrainOptions } from "./train_options.ts";

export { makeAugmentation } from "./augment_option.ts";

/** More than any number of minutes has time for. */
const MOST_EPOCHS = 100_000;

/**
 * Fills in what the options leave out, from a recipe.
 * @param data absolute path of the data; null for the built-in set
 * @param usual the recipe without what the options change in it; the network's own if not given
 * @throws UsageError for invalid values
 */
export function makeConfig(
  options: TrainOptions,
  network: Network,
  data: string | null,
  val: string | null,
  usual = network.recipe,
): TrainConfig {
  const { name } = network;
  const recipe: Recipe = { ...usual, ...options.recipe };
  if (data === null && (val !== null || (options.holdOut ?? options.fold) !== undefined)) {
    const [name] = Object.entries({ val, holdOut: options.holdOut, folds: options.fold }).find(
      ([, value]) => value != null,
    )!;
    throw new UsageError(
      `${option(name)} is for your own images, and the built-in set has its own for validation: ` +
        `name a folder to train on`,
    );
  }
  const config: TrainConfig = {
    network: name,
    definition: networks.includes(network) ? null : networkToJson(network),
    from: options.from ?? null,
    freeze: options.freeze === undefined ? [] : layersNamed(option("freeze"), options.freeze, network),
    freezeStatistics: options.statistics === "frozen",
    minutes: options.minutes ?? null,
    patience: options.patience ?? null,
    data,
    val,
    holdOut: options.holdOut ?? 0.1,
    fold: (options.fold as Fold | undefined) ?? null,
    fraction: options.fraction ?? 1,
    limit: options.limit ?? null,
    epochImages: options.epochImages ?? null,
    balance: options.balance ?? 0,
    weights: options.weights ?? null,
    lossWeights: options.lossWeights ?? null,
    epochs: options.epochs ?? (options.minutes === undefined ? recipe.epochs : MOST_EPOCHS),
    batch: options.batch ?? recipe.batch,
    accumulate: options.accumulate ?? 1,
    schedule: makeSchedule(recipe, options),
    ...warmupOf(recipe, options.warmup),
    optimizer: options.optimizer ?? recipe.optimizer ?? DEFAULT_OPTIMIZER,
    ...averageOf(recipe, options.average),
    momentum: options.momentum ?? recipe.momentum,
    decay: options.decay ?? recipe.decay,
    biasRate: recipe.biasRate,
    biasDecay: recipe.biasDecay,
    groups: [
      ...(recipe.groups ?? []),
      ...(options.rates === undefined ? [] : groupsNamed("rate", options.rates, network)),
      ...(options.decays === undefined ? [] : groupsNamed("decay", options.decays, network)),
    ],
    augmentation: makeAugmentation(recipe.augmentation, options.augment),
    seed: options.seed ?? 0,
    split: cutOf(options.split ?? "none"),
    precision: options.precision ?? "single",
    device: options.device ?? "auto",
    blas: options.blas ?? null,
    threads: options.threads ?? null,
    tune: options.tune ?? null,
  };
  checkSettings(config, option);
  if (config.freeze.length === learningLayers(network).length) {
    throw new UsageError(`${option("freeze")} ${options.freeze}: leaves no layer of ${name} to learn`);
  }
  return config;
}

/** What may be changed when a run is resumed, beside the paths of its data. */
const CHANGEABLE = ["epochs", "split", "device", "blas", "threads", "tune"] as const;

/** Applies the options allowed with --resume: those that don't change the steps already taken. */
export function changeConfig(config: TrainConfig, options: TrainOptions): TrainConfig {
  const { resume, allowChangedData: __, data, val, epochs, split, device, blas, threads, tune, ...others } = options;
  const { optimizer } = others;
  if (optimizer !== undefined && optimizer !== config.optimizer) {
    throw new UsageError(
      `${option("optimizer")} ${optimizer}: the run was trained with ${config.optimizer}, whose state it saved: leave it ` +
        `out, or begin a new run from its weights, with ${setting("from", resume!)} and ${setting("optimizer", optimizer)}`,
    );
  }
  if (epochs === 0) throw new UsageError(`${option("epochs")} 0: must be above 0 to continue`);
  const [name] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (name) {
    throw new UsageError(
      `${option(name)} can't be changed when a run is resumed; only ${CHANGEABLE.map((each) => option(each)).join(", ")} ` +
        `and the paths of its data can`,
    );
  }
  if (data !== undefined && config.data === null) {
    throw new UsageError(`the run was begun with the built-in set, and can't continue with ${nameOf(data)}`);
  }
  if (val !== undefined && config.val === null) {
    throw new UsageError(`${option("val")} ${nameOf(val)}: the run was begun without, and must be resumed without it`);
  }
  const changed = {
    ...config,
    ...(data !== undefined && { data: locate(data) }),
    ...(val !== undefined && { val: locate(val) }),
    epochs: epochs ?? config.epochs,
    split: split === undefined ? config.split : cutOf(split),
    // Options of one device don't apply to another.
    ...(device === undefined ? {} : { device, blas: null, threads: null, tune: null }),
    ...(blas === undefined ? {} : { blas }),
    ...(threads === undefined ? {} : { threads }),
    ...(tune === undefined ? {} : { tune }),
  };
  checkSettings(changed, option);
  return changed;
}

function nameOf(data: NonNullable<TrainOptions["data"]>): string {
  return typeof data === "string" ? data : data.name;
}

function cutOf(split: NonNullable<TrainOptions["split"]>): TrainConfig["split"] {
  return split === "none" ? null : split;
}

/** The averages that --average asks for, or the recipe's. @throws UsageError for unknown ones and numbers out of range */
function averageOf({ average: own }: Recipe, said: string | undefined): { readonly average?: Average } {
  if (said === undefined) return own ? { average: own } : {};
  const [kind, text] = said.split(/=(.*)/s);
  const number = text === undefined ? undefined : text.trim() === "" ? NaN : Number(text);
  if (kind === "none" && number === undefined) return {};
  if (kind === "ema" && (number === undefined || (number >= 0 && number < 1))) {
    return { average: { kind, decay: number ?? 0.999 } };
  }
  // 0.95⁵ is airbench's.
  const every = number ?? 5;
  if (kind === "lookahead" && Number.isSafeInteger(every) && every > 0) {
    return { average: { kind, decay: 0.95 ** 5, every } };
  }
  throw new UsageError(
    `${option("average")} ${said}: must be none, ema, with a decay from 0 to below 1 (ema=0.999), or lookahead, with a number of steps (lookahead=5)`,
  );
}

/** The warm-up that --warmup asks for, or the recipe's. @throws UsageError unless it is a number of epochs or steps */
function warmupOf({ warmup: own }: Recipe, said: string | number | undefined): { readonly warmup?: Warmup } {
  if (said === undefined) return own ? { warmup: own } : {};
  const [, number, unit = "epochs"] = /^([\d.e-]+) ?(epochs|steps)?$/.exec(String(said)) ?? [];
  if (Number(number) === 0) return {};
  const warmup = { [unit]: Number(number) };
  if (number !== undefined && isWarmup(warmup)) return { warmup };
  throw new UsageError(
    `${option("warmup")} ${said}: must be a number of epochs, or a whole number of steps, as in 500steps`,
  );
}

/** The schedule from --schedule and --rate, or the recipe's. */
function makeSchedule(recipe: Recipe, { schedule, rate: said, optimizer }: TrainOptions): Schedule {
  const isOther = optimizer !== undefined && optimizer !== (recipe.optimizer ?? DEFAULT_OPTIMIZER);
  const rate = said ?? (isOther ? findOptimizer(optimizer).rate : undefined);
  if (schedule === undefined) return rate === undefined ? recipe.schedule : withRate(recipe.schedule, rate);
  const start = rate ?? startOf(recipe.schedule);
  if (schedule === "constant" || schedule === "cosine") return { kind: schedule, rate: start };
  if (schedule === "triangular") return { kind: schedule, rate: start, start: 0.2, peak: 0.2, end: 0.05 };
  if (schedule === "plateau") return { kind: schedule, rate: start, patience: 5, drops: 3 };
  const epochs = /^steps:(\d+(?:,\d+)*)$/.exec(schedule)?.[1]?.split(",").map(Number);
  if (!epochs) {
    throw new UsageError(
      `${option("schedule")} ${schedule}: must be constant, cosine, triangular, plateau, or steps:EPOCHS, as in steps:30,60`,
    );
  }
  const froms = [0, ...epochs.sort((a, b) => a - b)];
  return { kind: "phases", phases: froms.map((from, i) => ({ from, rate: start / 10 ** i })) };
}

/**
 * Lowers the recipe's rate for fewer classes than its network was published with: times √(classes/published). With few
 * classes, each output gets a large part of the gradient in every step; at 0.01, alexnet's loss on two classes rises to
 * 27 within three steps. The root is ours: it keeps the first steps at about the same size.
 */
export function rateForClasses(config: TrainConfig, classes: number): TrainConfig {
  const published = networkOf(config).classes;
  if (classes >= published) return config;
  const rate = Number((startOf(config.schedule) * Math.sqrt(classes / published)).toPrecision(2));
  return { ...config, schedule: withRate(config.schedule, rate) };
}

/** The same schedule at `factor` times the rate. */
export function scaleRate(config: TrainConfig, factor: number): TrainConfig {
  return { ...config, schedule: withRate(config.schedule, Number((startOf(config.schedule) * factor).toPrecision(2))) };
}

function startOf(schedule: Schedule): number {
  return schedule.kind === "phases" ? schedule.phases[0]!.rate : schedule.rate;
}

/** The same schedule with another initial rate. */
function withRate(schedule: Schedule, rate: number): Schedule {
  if (schedule.kind !== "phases") return { ...schedule, rate };
  const factor = rate / startOf(schedule);
  return {
    kind: "phases",
    phases: schedule.phases.map((phase) => ({
      ...phase,
      rate: phase.rate * factor,
      ...(phase.rates && {
        rates: Object.fromEntries(Object.entries(phase.rates).map(([layer, own]) => [layer, own * factor])),
      }),
    })),
  };
}
