/** The options that repeat a run's training, from its config.json. */
import { isRecord } from "../rules.ts";
import { parseConfig } from "./settings.ts";
import type { TrainOptions } from "./train_options.ts";

/**
 * @param json the contents of a file
 * @returns undefined unless they are a run's settings
 * @throws UsageError for invalid settings
 */
export function optionsOfRun(json: unknown): TrainOptions | undefined {
  if (!isRecord(json) || typeof json.network !== "string" || !isRecord(json.schedule)) return undefined;
  const config = parseConfig(json);
  const { network, definition, data, freeze, freezeStatistics, split, holdOut, fold } = config;
  const { schedule, warmup, optimizer, average, momentum, decay, biasRate, biasDecay, groups, augmentation } = config;
  const said = {
    ...{ model: definition ?? network, from: config.from, data, val: config.val },
    // The built-in set has a part of its own to validate with.
    ...(data !== null && { holdOut: fold === null ? holdOut : null, fold }),
    ...{ fraction: config.fraction, limit: config.limit, epochImages: config.epochImages },
    ...{ balance: config.balance, weights: config.weights, lossWeights: config.lossWeights },
    ...{ freeze: freeze.length > 0 ? freeze.join() : null, statistics: freezeStatistics ? "frozen" : "batch" },
    ...{ epochs: config.epochs, minutes: config.minutes, patience: config.patience },
    ...{ batch: config.batch, accumulate: config.accumulate, seed: config.seed, split: split ?? "none" },
    precision: config.precision,
    ...{ device: config.device, blas: config.blas, threads: config.threads, tune: config.tune },
    // What is undefined here is so in the run, too, whatever the network's own recipe says.
    recipe: { schedule, warmup, optimizer, average, momentum, decay, biasRate, biasDecay, groups, augmentation },
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null)) as TrainOptions;
}
