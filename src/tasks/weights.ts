import { statSync } from "node:fs";
import { UsageError } from "../errors.ts";
import type { TrainConfig } from "./config.ts";
import { findRun, Run } from "./runs.ts";

export interface Weights {
  /** The checkpoint file. */
  readonly path: string;
  /** How it was trained. @throws UsageError when the file is not in a run. */
  config(): TrainConfig;
}

/** The weights to use: a file, or the best of a run; of the newest run if nothing is named. @throws UsageError */
export function findWeights(name = "latest"): Weights {
  if (name.endsWith(".safetensors") && statSync(name, { throwIfNoEntry: false })?.isFile()) {
    return {
      path: name,
      config: () => {
        throw new UsageError(`${name} does not say what it was trained on: name the data to evaluate it on`);
      },
    };
  }
  const run: Run = findRun(name, "best.safetensors");
  return { path: run.best, config: () => run.readConfig() as TrainConfig };
}
