import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, UsageError } from "../errors.ts";
import { openCheckpoint, type Checkpoint } from "../model/checkpoint.ts";
import { networks } from "../model/networks.ts";
import type { Network } from "../model/recipe.ts";
import type { TrainConfig } from "./config.ts";
import { findRun, Run } from "./runs.ts";

export interface Weights {
  /** The checkpoint file. */
  readonly path: string;
  /** How it was trained. @throws UsageError when the file is not in a run, or was imported. */
  config(): TrainConfig;
}

/** Opens a checkpoint of one of this program's networks. @throws CheckpointError */
export function openWeights(path: string): { checkpoint: Checkpoint; network: Network } {
  const checkpoint = openCheckpoint(path);
  const network = networks.find(({ name }) => name === checkpoint.network);
  if (network) return { checkpoint, network };
  checkpoint.close();
  throw new CheckpointError(`${path}: a checkpoint of "${checkpoint.network}", a network that this program lacks`);
}

/** The weights to use: a file, or the best of a run; of the newest run if nothing is named. @throws UsageError */
export function findWeights(name = "latest"): Weights {
  const untold = (path: string) => () => {
    throw new UsageError(`${path} does not say what it was trained on: name the data to evaluate it on`);
  };
  if (name.endsWith(".safetensors") && !statSync(name, { throwIfNoEntry: false })?.isDirectory()) {
    return { path: name, config: untold(name) };
  }
  const run: Run = findRun(name, "best.safetensors");
  // What was imported has no config.json: it was not trained here, and can't be resumed.
  const isTrained = existsSync(join(run.path, "config.json"));
  return { path: run.best, config: isTrained ? () => run.readConfig() : untold(run.best) };
}
