/**
 * The images that a run began with, as recorded in its folder. When the run is resumed, or evaluated on its own data,
 * they are compared with what is there now, and divided into training and validation images as they were.
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
import { setting } from "../option_names.ts";
import { command } from "../program.ts";
import { count, plural } from "../words.ts";
import type { Run } from "./runs.ts";
import type { TrainConfig } from "./settings.ts";
import type { TrainOptions } from "./train_options.ts";

/** How many bytes longer than today's inventory the recorded one may be: ImageNet's 1.3 million images take 80 MB. */
const MORE_BYTES = 2 ** 27;

/** @throws DataError when a run's data is no longer where it was */
export function requireData(run: Run, { data, val }: Selection): void {
  const paths = [data, val].filter((path) => typeof path === "string");
  const gone = paths.find((path) => isAbsolute(path) && !existsSync(path));
  if (gone === undefined) return;
  throw new DataError(
    `no such file or folder: ${gone}, which the run has its images from: put it back, or name its new place: ` +
      command("train --resume", run.path, "DATA", ...(val === null ? [] : ["--val", "VAL"])),
  );
}

/**
 * How a resumed run's images are divided; null if just as they are read.
 * @throws DataError when they have changed, unless that is allowed; CheckpointError as `compareWithRun`
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
      `${changes}: restore them, begin a new run, or continue with the run's remaining images, divided into training and ` +
        `validation as before, with ${setting("allowChangedData", true)}`,
    );
  }
  warn(
    `${changes}: continuing with the run's remaining images, ${division!.train.length} to train on and ` +
      `${division!.val.length} to validate with`,
  );
  return division;
}

/** For runs of versions that recorded only the numbers of images. */
function warnOfOther(
  run: Run,
  config: TrainConfig,
  whole: Opened,
  isMoved: boolean,
  warn: (line: string) => void,
): void {
  const [start, { train, val }] = [run.readStart(), reduceSets(whole, config)];
  const unknown = "a run this old has no record of which images those were";
  if (start && (start.train !== train.length || start.val !== val.length)) {
    warn(
      `${placeOf(config)} has ${plural(train.length, "image")} to train on and ${val.length} to validate with, but the ` +
        `run began with ${start.train} and ${start.val}: ${unknown}`,
    );
  } else if (isMoved) warn(`${placeOf(config)} is assumed to hold the images that the run was trained on: ${unknown}`);
}

function placeOf({ data, val }: Selection): string {
  const [place, other] = [data, val].map((set) => (typeof set === "string" ? set : set?.name));
  return other === undefined ? `${place}` : `${place} and ${other}`;
}

/** Records a set's images in a run's folder, in 10 MB for ImageNet. @throws AlexNetError when they can't be written */
export async function keepImages(run: Run, whole: Opened, note: (line: string) => void): Promise<void> {
  await run.writeImages(await promisify(gzip)(inventoryText(await inventoryOf(whole, note))));
}

function inventoryOf(whole: Opened, note: (line: string) => void): Promise<Inventory> {
  return takeInventory(whole, (done, total) => note(`checking the images' sizes: ${count(done)} of ${count(total)}`));
}

/** How a run's images compare with those that are there now; can be sent as JSON. */
interface Recorded {
  /** How they were divided; null if they are read in that division anyway. */
  readonly division: Division | null;
  /** What has changed, with numbers and the first example; null if nothing has. */
  readonly changes: string | null;
}

/**
 * Compares a run's images with those that are there now.
 * @param whole all that are there, before `fraction` and `limit`
 * @returns null for a run of a version that did not record them
 * @throws CheckpointError when the record is damaged; DataError when no image is left to train on or to validate with
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
    if (division[name].length === 0) throw new DataError(`${said}, and none of the run's images is left to ${use}`);
  }
  return { division, changes: said };
}

/** The recorded inventory; undefined if it equals `text`. */
async function readInventory({ imagesFile }: Run, text: string): Promise<Inventory | undefined> {
  try {
    const limit = text.length + MORE_BYTES;
    const kept = await promisify(gunzip)(readPlainFile(imagesFile, limit), { maxOutputLength: limit });
    return kept.equals(Buffer.from(text)) ? undefined : parseInventory(kept.toString("utf8"));
  } catch (error) {
    throw new CheckpointError(
      `${imagesFile} can't be used: ${oneLine(reason(error))}: if the images are still those that the run began with, ` +
        `delete this file and it will be written anew`,
      { cause: error },
    );
  }
}
