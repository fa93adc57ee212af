/** Restores what a run saved. */
import { existsSync } from "node:fs";
import { CheckpointError } from "../errors.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { setting } from "../option_names.ts";
import type { Run } from "../runs/runs.ts";
import type { TrainConfig } from "../runs/settings.ts";
import { damageOf, openCheckpoint, type Checkpoint } from "../weights/checkpoint.ts";
import { plural } from "../words.ts";
import { isState, type State } from "./session.ts";

export interface Restored {
  readonly mean: Float32Array;
  readonly state: State;
  /** Whether it comes from the save before the last, because the last is damaged. */
  readonly isPrevious: boolean;
}

/**
 * Loads what a run saved last, or the save before it if the last is damaged; undefined when nothing has been saved yet.
 * @throws CheckpointError when both are damaged, or don't match the data or the model of the run's config.json
 */
export function restore(
  run: Run,
  config: TrainConfig,
  classes: readonly string[],
  model: Model,
  optimizer: Optimizer,
  warn: (line: string) => void,
): Restored | undefined {
  const path = wholeSave(run, warn);
  if (path === undefined) return undefined;
  const checkpoint = openCheckpoint(path);
  try {
    requireSame(checkpoint, config, classes);
    const { mean, state } = checkpoint;
    if (!isState(state)) throw new CheckpointError(`${path}: its training progress makes no sense`);
    checkpoint.loadInto(model, optimizer);
    return { mean, state, isPrevious: path === run.previous };
  } finally {
    // Closed before the training replaces it, which Windows refuses for open files.
    checkpoint.close();
  }
}

/** The newest undamaged save; undefined when there is none at all. @throws CheckpointError when all are damaged */
function wholeSave({ last, previous, best }: Run, warn: (line: string) => void): string | undefined {
  if (![last, previous].some((path) => existsSync(path))) return undefined;
  const damage = damageOf(last);
  if (damage === undefined) return last;
  const before = existsSync(previous) ? damageOf(previous) : "there is no save before it";
  if (before !== undefined) {
    throw new CheckpointError(`${damage}; ${before}: begin a new run, with ${setting("from", best)} if that is good`);
  }
  warn(`${damage}: going on from the save before it`);
  return previous;
}

function requireSame(checkpoint: Checkpoint, config: TrainConfig, classes: readonly string[]): void {
  if (checkpoint.network !== config.network) {
    throw new CheckpointError(
      `${checkpoint.path}: a checkpoint of ${checkpoint.network}, the run is of ${config.network}`,
    );
  }
  const known = checkpoint.classes;
  if (known.join("\n") === classes.join("\n")) return;
  const missing = known.find((name) => !classes.includes(name));
  const unknown = classes.find((name) => !known.includes(name));
  const differences = [
    missing !== undefined && `"${missing}" is missing`,
    unknown !== undefined && `"${unknown}" is new`,
    missing === undefined && unknown === undefined && "they are in another order",
  ];
  throw new CheckpointError(
    `${checkpoint.path}: trained on ${plural(known.length, "class", "classes")}, the data has ${classes.length}: ` +
      `${differences.filter(Boolean).join(", ")}: put the data back as it was, or start a new run`,
  );
}
