/** The commands that train a run again, go on with it, and use what it has learnt. */
import { dirname, resolve } from "node:path";
import { command } from "../program.ts";
import { isRecord } from "../rules.ts";
import { nameOf } from "../schema.ts";
import type { StartRecord } from "./records.ts";
import { RUNS } from "./runs.ts";
import type { TrainConfig } from "./settings.ts";
import { TRAIN_OPTIONS, type TrainOptions } from "./train_options.ts";

/** Options that are said otherwise, or that don't decide the result. */
const OTHERWISE = ["data", "val", "from", "epochs", "minutes", "out", "resume", "allowChangedData"];
const SCRATCH = "none";

/**
 * The options of a new training, as start.json keeps them.
 * @returns undefined where a command can't say them: a network or class weights as objects, a part of a cross-validation
 */
export function keptOptions(options: TrainOptions): StartRecord["options"] {
  const kept = Object.entries(options).filter(([, value]) => value !== undefined);
  return kept.every(isSayable) ? Object.fromEntries(kept) : undefined;
}

function isSayable(entry: readonly [string, unknown]): entry is [string, string | number | boolean] {
  const [key, value] = entry;
  const isKnown = Object.hasOwn(TRAIN_OPTIONS, key) && TRAIN_OPTIONS[key as keyof TrainOptions].help !== undefined;
  return isKnown && ["string", "number", "boolean"].includes(typeof value);
}

/**
 * The command that trains a run again from its beginning, with as many epochs.
 * @returns undefined when start.json doesn't say how it was begun, as in runs of earlier versions
 */
export function trainCommand(config: TrainConfig, start: StartRecord | undefined): string | undefined {
  const { options } = start ?? {};
  if (!isRecord(options)) return undefined;
  const given = Object.entries(options);
  if (!given.every(isSayable)) return undefined;
  const words: string[] = [...dataOf(config)];
  // What was chosen without being asked for, such as the pretrained network for photos, is chosen again.
  if (options.from === SCRATCH) words.push("--from", SCRATCH);
  else if (options.from !== undefined && config.from !== null) words.push("--from", config.from);
  for (const [key, value] of given) {
    if (OTHERWISE.includes(key)) continue;
    const option = TRAIN_OPTIONS[key as keyof TrainOptions];
    const flag = `--${nameOf(key, option)}`;
    if (option.isSwitch) words.push(value === true ? flag : flag.replace("--", "--no-"));
    else words.push(flag, typeof value === "boolean" ? (value ? "on" : "off") : String(value));
  }
  // Until the number of epochs is known.
  if (start?.minutes === undefined) words.push("--epochs", String(config.epochs));
  else words.push("--minutes", String(start.minutes));
  return command("train", ...words);
}

export function resumeCommand(run: string): string {
  return command("train --resume", run);
}

/** @param images a file or folder to try the newest run on */
export function predictCommand(run: string, images = "IMAGE"): string {
  // The newest run in runs/ need not be named.
  return command("predict", images, ...(dirname(resolve(run)) === resolve(RUNS) ? [] : ["--model", run]));
}

/** The command that trains on: what is left of a run or, if nothing is, a new run from its weights. */
export function goOnCommand(config: TrainConfig, run: string, epochsDone: number): string {
  return epochsDone < config.epochs ? resumeCommand(run) : command("train", ...dataOf(config), "--from", run);
}

function dataOf({ data, val }: TrainConfig): string[] {
  return [...(data === null ? [] : [data]), ...(val === null ? [] : ["--val", val])];
}
