/** Opens a path as a training and a validation set. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { openFile } from "../io/bytes.ts";
import { isUrl, NOT_FETCHED, readFileUpTo, reason } from "../io/files.ts";
import { option } from "../option_names.ts";
import { checkOptions, requireWhole, show, type OptionKinds } from "../options.ts";
import { suggest } from "../suggest.ts";
import { plural } from "../words.ts";
import { openArchive } from "./archive.ts";
import {
  borrowed,
  holdOut as split,
  holdOutFold,
  reordered,
  type Dataset,
  type Encoded,
  type Fold,
} from "./dataset.ts";
import { openFolder, openIfThere } from "./folder.ts";
import type { Contents, Listing } from "./listing.ts";
import { DATA, placeInMemory } from "./memory.ts";
import { MAX_FILE_BYTES } from "./reading.ts";
import { Remarks, withRemarks, type Remark } from "./remarks.ts";
import { cifar } from "./sources/cifar.ts";
import { classFolders, LAYOUT } from "./sources/class_folders.ts";
import { ilsvrc } from "./sources/ilsvrc.ts";
import { kaggle } from "./sources/kaggle.ts";
import { list } from "./sources/list.ts";
import { packed } from "./sources/packed.ts";
import type { ImageSource, Progress } from "./sources/source.ts";
import { webdataset } from "./sources/webdataset.ts";

/** In the order in which they are tried; class folders last, because they accept anything. */
const SOURCES: readonly ImageSource[] = [packed, cifar, list, kaggle, ilsvrc, webdataset, classFolders];

export interface OpenOptions {
  /** A second folder, archive or data set, for validation. */
  readonly val?: string | Dataset;
  /**
   * The fraction of each class held out for validation if the data have no validation split. With 0 nothing is held out
   * and both sets are all images, for evaluation.
   */
  readonly holdOut?: number;
  /** Instead of a fraction: one of several parts, for cross-validation. The data must have no validation split. */
  readonly fold?: Fold;
  /** Determines which images are held out. */
  readonly seed?: number;
  /** Called with a line about slow work: downloads, and indexing large archives. */
  readonly onProgress?: Progress;
}

const OPTIONS: OptionKinds<OpenOptions> = {
  ...{ val: "any?", holdOut: "number?", fold: "number[]?", seed: "number?", onProgress: "function?" },
};

export interface Opened extends AsyncDisposable {
  readonly train: Dataset;
  readonly val: Dataset;
  /** What was ignored or looks odd; to be reported, so that nothing is missed silently. */
  readonly remarks: readonly Remark[];
  /** Whether `val` was held out, because the data have no validation split. */
  readonly isHeldOut?: boolean;
}

/** Sets whose files, which they may share, are closed at the end of the block that holds them with `await using`. */
export const opened = (sets: Omit<Opened, typeof Symbol.asyncDispose>): Opened => ({
  ...sets,
  async [Symbol.asyncDispose]() {
    await sets.train.close();
    await sets.val.close();
  },
});

/**
 * Opens a folder, a .tar or .tar.gz, a .csv or .jsonl list, or a set by name. It may hold class folders, ImageNet as
 * distributed, WebDataset shards, or CIFAR's binary files (`SOURCES`). A set that is open already is divided likewise; it
 * stays open when the result is closed.
 * @throws DataError when it does not exist, is empty, has a single class, or the splits have different classes; the
 * message also says what was ignored
 */
export async function openDataset(data: string | Dataset, options: OpenOptions = {}): Promise<Opened> {
  checkOptions("openDataset", options, OPTIONS);
  const { val, holdOut = 0.1, fold, seed = 0, onProgress = () => {} } = options;
  if (!(holdOut >= 0 && holdOut < 1)) {
    throw new UsageError(`openDataset: holdOut is ${show(holdOut)}, must be at least 0 and below 1`);
  }
  requireWhole("openDataset", { seed }, 0);
  for (const [name, given] of Object.entries({ data, ...(val !== undefined && { val }) })) {
    const problem = DATA(given);
    if (problem !== undefined) throw new UsageError(`openDataset: ${name}${problem}`);
  }
  const contained: Contents[] = [];
  // Separate for each path: a source may ask for remarks about its own files.
  const [own, others] = [new Remarks(), new Remarks()];
  const remarks = () => [...own.list(), ...others.list()];
  try {
    const contents = await contentsOf(data, onProgress, own);
    contained.push(contents);
    let sets: Pick<Opened, "train" | "val" | "isHeldOut">;
    if (fold && !("all" in contents)) {
      throw new UsageError(
        `${nameOf(data)} has validation images of its own (${contents.val.name}), so it can't be divided into folds: ` +
          `name the folder of its training images, or train without ${option("folds")}`,
      );
    }
    if (val !== undefined) {
      const other = await contentsOf(val, onProgress, others);
      contained.push(other);
      if (!("all" in contents)) remarkUnused(contents.val, own);
      if (!("all" in other)) remarkUnused(other.train, others);
      sets = { train: "all" in contents ? contents.all : contents.train, val: "all" in other ? other.all : other.val };
    } else if (!("all" in contents)) sets = contents;
    else if (fold) sets = { ...holdOutFold(contents.all, fold, seed), isHeldOut: true };
    else if (holdOut > 0) sets = { ...split(contents.all, holdOut, seed), isHeldOut: true };
    else sets = { train: contents.all, val: contents.all };
    if (val !== undefined || !("all" in contents)) {
      requireSameClasses(sets);
      sets = { ...sets, val: reordered(sets.val, sets.train.classes) };
    }
    if (holdOut > 0 && sets.train.classes.length < 2) {
      throw new DataError(
        `${sets.train.name} has a single class (${sets.train.classes[0]}), so there is nothing to classify: ${LAYOUT}`,
      );
    }
    if (sets.val.length === 0) {
      throw new DataError(
        `${sets.train.name} has only one image per class, so none can be held out for validation: ` +
          `add images, or pass a validation set with ${option("val")}`,
      );
    }
    return opened({ ...sets, remarks: remarks() });
  } catch (error) {
    for (const contents of contained) await ("all" in contents ? contents.all : contents.train).close();
    throw error instanceof DataError ? withRemarks(error, remarks()) : error;
  }
}

/** Remarks that a split is ignored because --val names another set. */
function remarkUnused(split: Dataset, remarks: Remarks): void {
  for (let i = 0; i < split.length; i++) remarks.add("unused part", split.nameOf(i));
}

/** @throws DataError for a URL */
function refuseUrl(path: string): void {
  if (isUrl(path)) throw new DataError(`${path}: ${NOT_FETCHED}`);
}

/**
 * How a run records its data set: by absolute path, or by name for a named set if no such path exists, or one in memory.
 * @throws DataError for a URL
 */
export function locate(data: string | Dataset): string {
  if (typeof data !== "string") return placeInMemory(data);
  refuseUrl(data);
  const isName = SOURCES.some((source) => source.names?.includes(data)) && !existsSync(data);
  return isName ? data : resolve(data);
}

/** One image file. @throws DataError when it can't be read */
export async function readImage(path: string): Promise<Encoded> {
  try {
    return { kind: "encoded", bytes: readFileUpTo(path, MAX_FILE_BYTES) };
  } catch (error) {
    throw new DataError(`can't read the image ${path}: ${reason(error)}`, { cause: error });
  }
}

function nameOf(data: string | Dataset): string {
  return typeof data === "string" ? data : data.name;
}

async function contentsOf(data: string | Dataset, progress: Progress, remarks: Remarks): Promise<Contents> {
  return typeof data === "string" ? openPath(data, progress, remarks) : { all: borrowed(data) };
}

async function openPath(path: string, progress: Progress, remarks: Remarks): Promise<Contents> {
  refuseUrl(path);
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new DataError(`can't read ${path}: ${reason(error)}`, { cause: error });
  });
  if (!found) {
    for (const source of SOURCES) {
      if (source.names?.includes(path)) return openPath(await source.fetch!(path, progress), progress, remarks);
    }
    const names = SOURCES.flatMap((source) => source.names ?? []);
    const near = suggest(basename(path), names);
    throw new DataError(`${path} does not exist: ${LAYOUT}, or the name of a set (${names.join(", ")})${near}`);
  }
  if (!found.isDirectory()) {
    for (const source of SOURCES) {
      const contents = await source.openFile?.(path, remarks);
      if (contents) return contents;
    }
  }
  const listing = found.isDirectory() ? await openFolder(path, remarks) : await openAlone(path, remarks);
  try {
    for (const source of SOURCES) {
      const contents = await source.openListing?.(listing, progress);
      if (contents) return contents;
    }
    throw new DataError(`${path} is not a data set: ${LAYOUT}`);
  } catch (error) {
    await listing.close();
    throw error;
  }
}

/** An archive, with access to files in the same folder. */
async function openAlone(path: string, remarks: Remarks): Promise<Listing> {
  const listing = await openArchive(await openFile(path), { remarks });
  return { ...listing, beside: (name) => openIfThere(join(dirname(path), name)) };
}

function requireSameClasses({ train, val }: Pick<Opened, "train" | "val">): void {
  const missing = train.classes.find((name) => !val.classes.includes(name));
  const unknown = val.classes.find((name) => !train.classes.includes(name));
  if (missing === undefined && unknown === undefined) return;
  const difference = [missing && `${val.name} lacks "${missing}"`, unknown && `${train.name} lacks "${unknown}"`];
  throw new DataError(
    `${train.name} has ${plural(train.classes.length, "class", "classes")} and ${val.name} ${val.classes.length}: ` +
      `${difference.filter(Boolean).join(", ")}: both need the same classes`,
  );
}
