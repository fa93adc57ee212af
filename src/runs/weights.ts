/** Finds trained weights: a file, a run's best, or those in the box, which come with the program. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AlexNetError, CheckpointError, oneLine, UsageError } from "../errors.ts";
import { onDisk } from "../native/embedded.ts";
import { networkIn } from "../net/definition.ts";
import { leaves, place } from "../net/model.ts";
import type { Network } from "../net/recipe.ts";
import { command, ROOT } from "../program.ts";
import { openCheckpoint, writeCheckpoint, type Calibrated, type Checkpoint } from "../weights/checkpoint.ts";
import type { TensorSource } from "../weights/safetensors.ts";
import {
  fetchOnceADay,
  importedCheckpoint,
  isAtHand,
  isPretrained,
  pretrainedCheckpoint,
  type PretrainedName,
} from "./pretrained.ts";
import { findRun, newestRun, Run, RUNS } from "./runs.ts";
import type { TrainConfig } from "./settings.ts";

export interface Weights {
  /** The checkpoint file. */
  readonly path: string;
  /** Trained or named by the user, in the box that comes with the program, or fetched. */
  readonly origin: "own" | "box" | "pretrained";
  /** The name of a fetched network. */
  readonly pretrained?: PretrainedName;
  /** Of the network in the box: why the pretrained one, which it stands in for, can't be had. */
  readonly because?: string;
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

/** The parameters of a network and its layers' state, with their values. */
export function storedIn(checkpoint: Checkpoint, network: Network): TensorSource[] {
  return leaves(place(network, checkpoint.classes.length))
    .flatMap(({ parameters, state }) => [...parameters, ...state])
    .map(({ name, shape }) => ({ name, shape, read: async () => checkpoint.numbers(name, shape) }));
}

/** Adds to a checkpoint what its weights have been calibrated to. @throws CheckpointError, AlexNetError */
export async function keepCalibration(path: string, calibrated: Calibrated): Promise<void> {
  const { checkpoint, network } = openWeights(path);
  const { classes, mean, state } = checkpoint;
  // Read before it is replaced, which Windows refuses for open files.
  const parameters = await Promise.all(
    storedIn(checkpoint, network).map(async ({ name, shape, read }) => {
      const values = await read();
      return { name, shape, read: async () => values };
    }),
  );
  checkpoint.close();
  await writeCheckpoint(path, { network, classes, mean, state, parameters, calibrated });
}

/** The models in the box: models/NAME.safetensors. */
const BOX = join(ROOT, "models");
const IN_THE_BOX = "cifar10";
/** The default for photos. */
export const FOR_PHOTOS: PretrainedName = "imagenet";

/** Called with a line about each download. */
type Note = (line: string) => void;

/** Files of others that can be used without being imported first. */
const FOREIGN = /\.(pth|pt|caffemodel|npz)$/;

/**
 * The weights to use: a file, the best of a run, a pretrained network, which is fetched if need be, or a model in the
 * box. Without a name, the newest run's or, if there is no run, the pretrained network for photos or, where that can't
 * be had, the one in the box.
 * @param mayFetch whether a pretrained network that is missing is fetched
 * @throws UsageError when nothing has this name; DataError when a pretrained network can't be fetched
 */
export async function findWeights(name?: string, note: Note = () => {}, mayFetch = true): Promise<Weights> {
  if (name !== undefined || newestRun("best.safetensors") !== undefined)
    return findNamed(name ?? "latest", note, mayFetch);
  const missing = mayFetch ? await fetchOnceADay(FOR_PHOTOS, note) : whyNotAtHand(FOR_PHOTOS);
  return missing === undefined ? pretrained(FOR_PHOTOS, note) : { ...boxed(IN_THE_BOX)!, because: missing };
}

/** What to do about a network that would have to be fetched; undefined for others. */
function whyNotAtHand(name: PretrainedName): string | undefined {
  if (isAtHand(name)) return undefined;
  return `the network "${name}" has not been fetched yet: ${command(`predict IMAGE --model ${name}`)} does it`;
}

async function findNamed(name: string, note: Note, mayFetch: boolean): Promise<Weights> {
  const isFile = statSync(name, { throwIfNoEntry: false })?.isFile() === true;
  if (name.endsWith(".safetensors") && (isFile || !existsSync(name))) return weightsAt(name);
  if (FOREIGN.test(name) && isFile) return weightsAt(await importedCheckpoint(name, note));
  const isRun = name === "latest" || [name, join(RUNS, name)].some((folder) => existsSync(folder));
  if (!isRun && isPretrained(name)) {
    const missing = mayFetch ? undefined : whyNotAtHand(name);
    if (missing !== undefined) throw new UsageError(missing);
    return pretrained(name, note);
  }
  return (!isRun && boxed(name)) || weightsAt(findRun(name, "best.safetensors").best);
}

async function pretrained(name: PretrainedName, note: Note): Promise<Weights> {
  return { ...weightsAt(await pretrainedCheckpoint(name, note)), origin: "pretrained", pretrained: name };
}

function boxed(name: string): Weights | undefined {
  const path = join(BOX, `${name}.safetensors`);
  return /^[\w-]+$/.test(name) && existsSync(path) ? { ...weightsAt(onDisk(path)), origin: "box" } : undefined;
}

const weightsAt = (path: string): Weights => ({ path, origin: "own", ...trainingOf(path) });

/** To label pictures with: a checkpoint's folder and file, "small-1/best.safetensors"; a fetched network's name. */
export function nameOf({ path, pretrained }: Pick<Weights, "path" | "pretrained">): string {
  return pretrained ?? join(basename(dirname(resolve(path))), basename(path));
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
