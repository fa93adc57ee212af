/** Cross-validation: a training for each of several parts of the images, which is validated on that part. */
import { rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { UsageError } from "../../errors.ts";
import { option } from "../../option_names.ts";
import { CONTEXT, type Context } from "../../ranks/context.ts";
import { ALONE } from "../../ranks/ranks.ts";
import { namedRun, newRun, writeJson } from "../../runs/runs.ts";
import { TRAIN_OPTIONS } from "../../runs/train_options.ts";
import { wholeFromTo } from "../../rules.ts";
import { number, validate, type OptionsOf } from "../../schema.ts";
import type { TrainEvent } from "../../training/events.ts";
import { train } from "./train.ts";

export const FOLDS_RULE = wholeFromTo(2, 20);

const OPTIONS = { ...TRAIN_OPTIONS, folds: number(undefined, { needed: true, rule: FOLDS_RULE }) };

export interface CrossValidateOptions extends OptionsOf<typeof OPTIONS> {}

export interface CrossValidation {
  /** The folder with a run for each fold, fold-1, fold-2, …, and with folds.json, which says the same as this. */
  readonly folder: string;
  readonly folds: readonly {
    /** The run's name in the folder. */
    readonly run: string;
    /** Number of validation images. */
    readonly images: number;
    /** The share of them that the best epoch classified correctly. */
    readonly accuracy: number;
  }[];
  /** Of the accuracies. */
  readonly mean: number;
  /** Their standard deviation, with n − 1. */
  readonly deviation: number;
}

/**
 * Trains `folds` times with the same options, each time validated on another part of the images, chosen by the seed and
 * with an equal share of each class.
 * @returns undefined when it was stopped
 * @throws UsageError with `val`, `resume`, `holdOut`, or data that has validation images of its own; as `train`
 */
export async function crossValidate(
  call: CrossValidateOptions & Context<TrainEvent>,
): Promise<CrossValidation | undefined> {
  validate("crossValidate", call, OPTIONS, CONTEXT);
  const { folds: count, out, ...rest } = call;
  for (const [name, value] of Object.entries({ val: rest.val, resume: rest.resume, holdOut: rest.holdOut })) {
    if (value === undefined) continue;
    throw new UsageError(
      `${option("folds")} ${count} divides the images itself, for new runs: leave out ${option(name)}`,
    );
  }
  const { ranks = ALONE, onEvent = () => {} } = rest;
  const folder = await ranks.share(() => (out === undefined ? newRun("folds") : namedRun(out)).path);
  const folds: CrossValidation["folds"][number][] = [];
  try {
    for (let fold = 1; fold <= count; fold++) {
      onEvent({ type: "fold", fold, folds: count });
      const run = join(folder, `fold-${fold}`);
      const result = await train({ ...rest, fold: [fold, count], out: run });
      if (result.interrupted) return undefined;
      folds.push({ run: basename(run), images: result.validated!, accuracy: 1 - result.bestError! });
    }
  } finally {
    if (folds.length === 0 && ranks.rank === 0) removeEmpty(folder);
  }
  const mean = folds.reduce((sum, { accuracy }) => sum + accuracy, 0) / count;
  const squares = folds.reduce((sum, { accuracy }) => sum + (accuracy - mean) ** 2, 0);
  const found = { folds, mean, deviation: Math.sqrt(squares / (count - 1)) };
  if (ranks.rank === 0) await writeJson(join(folder, "folds.json"), found);
  return { folder, ...found };
}

/** Removes the folder of a cross-validation whose options or data were refused. */
function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // The first fold has begun.
  }
}
