/**
 * The images that a run began with, as its folder has them: when it goes on, or is evaluated on what it was trained on,
 * they are compared with those that are there, and divided into training and validation as they were.
 */
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import {
  compareInventories,
  inventoryText,
  parseInventory,
  takeInventory,
  type Division,
  type Inventory,
} from "../data/inventory.ts";
import type { Opened } from "../data/open.ts";
import { choose } from "../data/sampling.ts";
import { reduceSets, type Selection } from "../data/select.ts";
import { CheckpointError, DataError, oneLine } from "../errors.ts";
import { readPlainFile, reason } from "../io/files.ts";
import { count, plural } from "../words.ts";
import type { Run } from "./runs.ts";
import type { TrainConfig } from "./settings.ts";
import type { TrainOptions } from "./train_options.ts";

/** What is there now may be less than there was, but not by more than this: ImageNet's 1.3 million images take 80 MB. */
const MORE_BYTES = 2 ** 27;

/** @throws DataError when what a run was trained on is no longer where it was */
export function requireData(run: Run, { data, val }: Selection): void {
  const gone = [data, val].find((path) => path !== null && isAbsolute(path) && !existsSync(path));
  if (gone === undefined) return;
  throw new DataError(
    `there is no ${gone}, which the run has its images from: put it back, or say where it is now: ` +
      `bun run train --resume ${run.path} DATA${val === null ? "" : " --val VAL"}`,
  );
}

/**
 * How a run's images are divided when it goes on; null where that is as they come.
 * @throws DataError when they are no longer the same, unless that is allowed; CheckpointError
 */
export async function divisionOf(
  run: Run,
  config: TrainConfig,
  whole: Opened,
  { allowChangedData = false, data, val }: TrainOptions,
  note: (line: string) => void,
  warn: (line: string) => void,
): Promise<Division | null> {
  const kept = await compareWithRun(run, config, whole, note);
  if (!kept) {
    warnOfOther(run, config, whole, (data ?? val) !== undefined, warn);
    return null;
  }
  const { division, changes } = kept;
  if (changes === null) return division;
  if (!allowChangedData) {
    throw new DataError(
      `${changes}: put them back as they were, begin a new run, or go on with those of the run that are left, divided ` +
        `into training and validation as before: --allow-changed-data`,
    );
  }
  warn(
    `${changes}: going on with those of the run that are left, ${division!.train.length} to train on and ` +
      `${division!.val.length} to validate with`,
  );
  return division;
}

/** A run that was begun before its images were kept has only their numbers. */
function warnOfOther(
  run: Run,
  config: TrainConfig,
  whole: Opened,
  isMoved: boolean,
  warn: (line: string) => void,
): void {
  const [start, { train, val }] = [run.readStart(), reduceSets(whole, config)];
  const unknown = "which images those were is not known of a run this old";
  if (start && (start.train !== train.length || start.val !== val.length)) {
    warn(
      `${placeOf(config)} has ${plural(train.length, "image")} to train on and ${val.length} to validate with, and the ` +
        `run began with ${start.train} and ${start.val}: ${unknown}`,
    );
  } else if (isMoved) warn(`${placeOf(config)} is taken for what the run was trained on: ${unknown}`);
}

function placeOf({ data, val }: Selection): string {
  return val === null ? `${data}` : `${data} and ${val}`;
}

/** Keeps what a set holds in a run's folder; ImageNet takes 10 MB. @throws AlexNetError when that can't be written to */
export async function keepImages(run: Run, whole: Opened, note: (line: string) => void): Promise<void> {
  await run.writeImages(await promisify(gzip)(inventoryText(await inventoryOf(whole, note))));
}

function inventoryOf(whole: Opened, note: (line: string) => void): Promise<Inventory> {
  return takeInventory(whole, (done, total) => note(`looking at the images' sizes: ${count(done)} of ${count(total)}`));
}

/** What a run's images have become; as JSON has it. */
export interface Recorded {
  /** How they were divided; null where they are divided so already. */
  readonly division: Division | null;
  /** That they have changed, how many, and the first of them; null where they are what they were. */
  readonly changes: string | null;
}

/**
 * Compares a run's images with those that are there.
 * @param whole all of them, before `fraction` and `limit`
 * @returns null for a run that was begun before they were kept
 * @throws CheckpointError when the file is damaged; DataError when none is left to train on or to validate with
 */
export async function compareWithRun(
  run: Run,
  source: Selection,
  whole: Opened,
  note: (line: string) => void,
): Promise<Recorded | null> {
  if (!existsSync(run.imagesFile)) return null;
  const now = await inventoryOf(whole, note);
  const then = await readInventory(run, inventoryText(now));
  if (then === undefined) return { division: null, changes: null };
  const { places, changes } = compareInventories(then, now);
  const { fraction = 1, limit, seed } = source;
  const part = (first: number, length: number) => {
    const label = (i: number) => then.images[first + i]![1];
    const chosen = choose({ length, classes: then.classes, label }, fraction, limit ?? Infinity, seed);
    const those = chosen ?? Uint32Array.from({ length }, (_, i) => i);
    return Array.from(those, (i) => places[first + i]!).filter((place) => place >= 0);
  };
  const { classes, images, train } = then;
  const division = { classes, train: part(0, train), val: part(train, images.length - train) };
  if (changes === undefined) return { division, changes: null };
  const said = `the images in ${placeOf(source)} have changed since the run began (${changes})`;
  for (const [name, use] of [
    ["train", "train on"],
    ["val", "validate with"],
  ] as const) {
    if (division[name].length === 0) throw new DataError(`${said}, and none of the run's is left to ${use}`);
  }
  return { division, changes: said };
}

/** Undefined when it is what the text says. */
async function readInventory({ imagesFile }: Run, text: string): Promise<Inventory | undefined> {
  try {
    const limit = text.length + MORE_BYTES;
    const kept = await promisify(gunzip)(readPlainFile(imagesFile, limit), { maxOutputLength: limit });
    return kept.equals(Buffer.from(text)) ? undefined : parseInventory(kept.toString("utf8"));
  } catch (error) {
    throw new CheckpointError(
      `${imagesFile} can't be used: ${oneLine(reason(error))}: if the images are still those that the run began with, ` +
        `delete this file, and it is written again`,
      { cause: error },
    );
  }
}
