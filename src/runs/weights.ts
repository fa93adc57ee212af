/** Finds trained weights: a file, a run's best, or those in the box, which come with the program. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { AlexNetError, CheckpointError, oneLine, UsageError } from "../errors.ts";
import { networkIn } from "../net/definition.ts";
import { leaves, place } from "../net/model.ts";
import type { Network } from "../net/recipe.ts";
import { openCheckpoint, type Checkpoint } from "../weights/checkpoint.ts";
import { findRun, newestRun, Run, RUNS } from "./runs.ts";
import type { TrainConfig } from "./settings.ts";

export interface Weights {
  /** The checkpoint file. */
  readonly path: string;
  /** Whether it came with the program. */
  readonly isBoxed: boolean;
  /** Its run; none for a file outside of runs, and for imported weights. */
  readonly run?: Run;
  /** How it was trained. @throws UsageError when the file is outside of a run, or was imported */
  config(): TrainConfig;
}

/** Opens a checkpoint with its network: the one it defines, or one of this program's. @throws CheckpointError */
export function openWeights(path: string): { checkpoint: Checkpoint; network: Network } {
  const checkpoint = openCheckpoint(path);
  try {
    const network = networkIn(checkpoint.metadata, "its network");
    // Before any memory is allocated for it.
    for (const { parameters, state } of leaves(place(network, checkpoint.classes.length))) {
      for (const { name, shape } of [...parameters, ...state]) checkpoint.require(name, shape);
    }
    return { checkpoint, network };
  } catch (error) {
    checkpoint.close();
    if (!(error instanceof AlexNetError) || error instanceof CheckpointError) throw error;
    throw new CheckpointError(`${path}: ${oneLine(error.message)}`, { cause: error });
  }
}

/** The models in the box: models/NAME.safetensors. */
const BOX = fileURLToPath(new URL("../../models/", import.meta.url));
const IN_THE_BOX = "cifar10";

/**
 * The weights to use: a file, the best of a run, or a model in the box. Without a name, the newest run's or, if there
 * is no run, those in the box.
 * @throws UsageError when nothing has this name
 */
export function findWeights(name?: string): Weights {
  if (name === undefined && newestRun("best.safetensors") === undefined) return findNamed(IN_THE_BOX);
  return findNamed(name ?? "latest");
}

function findNamed(name: string): Weights {
  if (name.endsWith(".safetensors") && !statSync(name, { throwIfNoEntry: false })?.isDirectory()) {
    return { path: name, isBoxed: false, ...trainingOf(name) };
  }
  const boxed = join(BOX, `${name}.safetensors`);
  const isRun = name === "latest" || [name, join(RUNS, name)].some((folder) => existsSync(folder));
  if (!isRun && /^[\w-]+$/.test(name) && existsSync(boxed)) return { path: boxed, isBoxed: true, ...trainingOf(boxed) };
  const { best } = findRun(name, "best.safetensors");
  return { path: best, isBoxed: false, ...trainingOf(best) };
}

/** "small-1/best.safetensors": a checkpoint's folder and file, to label pictures with. */
export function nameOf(path: string): string {
  return join(basename(dirname(resolve(path))), basename(path));
}

/** Imported weights have no config.json beside them: they were not trained here, and can't be resumed. */
function trainingOf(path: string): Pick<Weights, "run" | "config"> {
  const run = new Run(dirname(path));
  if (existsSync(join(run.path, "config.json")) && [run.best, run.last].includes(resolve(path))) {
    return { run, config: () => run.readConfig() };
  }
  return {
    config() {
      throw new UsageError(`${path} does not say what it was trained on: name the data to evaluate it on`);
    },
  };
}
