/** Chooses what a training's options leave open: the network, the weights to start from, the rate. */
import { resolve } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { locate } from "../../data/open.ts";
import { DataError, UsageError } from "../../errors.ts";
import { defineNetwork } from "../../net/definition.ts";
import { learningLayers } from "../../net/layer_names.ts";
import { place } from "../../net/model.ts";
import { openNetwork } from "../../net/network_file.ts";
import { findNetwork } from "../../net/networks.ts";
import type { Network } from "../../net/recipe.ts";
import { option, setting } from "../../option_names.ts";
import { given as known } from "../../options.ts";
import { makeConfig, rateForClasses, scaleRate } from "../../runs/config.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import type { TrainOptions } from "../../runs/train_options.ts";
import { findWeights, FOR_PHOTOS } from "../../runs/weights.ts";
import { hasHead } from "../../training/later/head.ts";
import { PHOTOS, suitedModel } from "../shared/suited_model.ts";
import { imbalanceOf } from "./classes.ts";
import { fineTuningRecipe, sameClasses, sourceOf } from "./fine_tune.ts";

/** What a person waits, and few photos are not worth more epochs. */
const DEFAULT_LENGTH = { minutes: 5, epochs: 20 };

/**
 * The configuration as far as it is known before the data are opened, to report mistakes early. Without a named
 * network, `alexnet` stands in.
 */
export async function firstConfig(options: TrainOptions, note: (line: string) => void): Promise<TrainConfig> {
  if (options.allowChangedData) throw new UsageError(`${option("allowChangedData")} is only for ${option("resume")}`);
  const data = options.data === undefined ? null : locate(options.data);
  const val = options.val === undefined ? null : locate(options.val);
  const from = [undefined, "none"].includes(options.from) ? undefined : (await findWeights(options.from, note)).path;
  const source = from === undefined ? undefined : sourceOf(from);
  const said = options.model === undefined ? undefined : await networkNamed(options.model);
  if (source && said && said.name !== source.network.name) {
    throw new UsageError(
      `${option("model")} ${said.name}: ${from} has weights of ${source.network.name}; leave one out`,
    );
  }
  const network = source?.network ?? said ?? findNetwork(PHOTOS);
  return makeConfig({ ...options, from: from && resolve(from) }, network, data, val);
}

async function networkNamed(model: NonNullable<TrainOptions["model"]>): Promise<Network> {
  return typeof model === "string" ? openNetwork(model) : defineNetwork(model);
}

/**
 * Chooses what was not specified by the data: the weights to start from or else the network, and the rate for the number
 * of classes.
 */
export async function suitedConfig(
  options: TrainOptions,
  given: TrainConfig,
  set: Dataset,
  note: (line: string) => void,
): Promise<TrainConfig> {
  const { model, from } = options;
  if (given.from !== null) return fineTuning(options, given, set);
  const suited = model === undefined ? await suitedModel(given.data, set) : undefined;
  if (suited === PHOTOS && from === undefined) {
    const started = { ...options, from: FOR_PHOTOS };
    return fineTuning(started, await firstConfig(started, note).catch(offerScratch), set);
  }
  const network = suited === undefined ? await networkNamed(model!) : findNetwork(suited);
  const config = makeConfig({ ...options, from: undefined }, network, given.data, given.val);
  return saysRate(options) ? config : rateForClasses(config, set.classes.length);
}

function saysRate({ rate, recipe }: TrainOptions): boolean {
  return (rate ?? recipe?.schedule) !== undefined;
}

/** Whether the training begins with a new last layer alone. */
export function hasNewHead({ from }: TrainConfig, set: Dataset): boolean {
  if (from === null) return false;
  const { network, classes } = sourceOf(from);
  return !sameClasses(classes, set.classes) && hasHead(place(network));
}

/** @throws the error, with the way to do without pretrained weights if those can't be fetched */
function offerScratch(error: unknown): never {
  if (!(error instanceof DataError)) throw error;
  throw new DataError(`${error.message}; or train from scratch, which takes hours: ${setting("from", "none")}`, {
    cause: error,
  });
}

/**
 * For the same classes, the network's recipe at a tenth of the rate; for others, what suits a new last layer. Uneven
 * classes are balanced.
 */
function fineTuning(options: TrainOptions, given: TrainConfig, set: Dataset): TrainConfig {
  const { network, classes, isFolded } = sourceOf(given.from!);
  const isAsked = options.balance !== undefined || given.weights !== null || given.lossWeights !== null;
  const isUneven = !isAsked && imbalanceOf(set) !== undefined;
  const balance = isUneven ? 1 : given.balance;
  if (sameClasses(classes, set.classes)) {
    const config = saysRate(options) ? given : scaleRate(rateForClasses(given, set.classes.length), 0.1);
    return { ...config, balance };
  }
  const [first, last] = [learningLayers(network)[0]!, learningLayers(network).at(-1)!];
  const defaults: TrainOptions = {
    from: given.from!,
    statistics: "frozen",
    ...(options.epochs === undefined && options.minutes === undefined && DEFAULT_LENGTH),
    ...(isFolded && { freeze: first }),
  };
  const config = makeConfig(
    { ...defaults, ...known(options), from: given.from! },
    network,
    given.data,
    given.val,
    fineTuningRecipe(network),
  );
  // Where the last layer can't be trained before the others, it learns faster.
  if (hasHead(place(network)) || options.rates !== undefined || options.recipe?.groups) return { ...config, balance };
  return { ...config, balance, groups: [...config.groups, { of: last, rate: 10 }] };
}
