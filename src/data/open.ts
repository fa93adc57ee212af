/** From a path to a data set to train on and one to validate with. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { openFile } from "../io/bytes.ts";
import { isUrl, NOT_FETCHED, readFileUpTo, reason } from "../io/files.ts";
import { checkOptions, requireWhole, show, type OptionKinds } from "../options.ts";
import { suggest } from "../suggest.ts";
import { plural } from "../words.ts";
import { openArchive } from "./archive.ts";
import { holdOut as split, reordered, type Dataset, type Encoded } from "./dataset.ts";
import { openFolder, openIfThere } from "./folder.ts";
import type { Contents, Listing } from "./listing.ts";
import { MAX_FILE_BYTES } from "./reading.ts";
import { Remarks, withRemarks, type Remark } from "./remarks.ts";
import { cifar } from "./sources/cifar.ts";
import { classFolders, LAYOUT } from "./sources/class_folders.ts";
import { ilsvrc } from "./sources/ilsvrc.ts";
import { kaggle } from "./sources/kaggle.ts";
import { list } from "./sources/list.ts";
import { packed } from "./sources/packed.ts";
import type { Progress, Source } from "./sources/source.ts";
import { webdataset } from "./sources/webdataset.ts";

/** In the order in which they are asked. Class folders are what nothing else is. */
const SOURCES: readonly Source[] = [packed, cifar, list, kaggle, ilsvrc, webdataset, classFolders];

export interface OpenOptions {
  /** A second folder or archive to validate with. */
  readonly val?: string;
  /**
   * The share of each class held out for validation where the data have no part of their own for it. With 0 nothing
   * is held out, and both parts are all images: for evaluation.
   */
  readonly holdOut?: number;
  /** Chooses what is held out. */
  readonly seed?: number;
  /** Told what takes its time: downloads, and indexes of large archives. */
  readonly onProgress?: Progress;
}

const OPTIONS: OptionKinds<OpenOptions> = {
  ...{ val: "string?", holdOut: "number?", seed: "number?", onProgress: "function?" },
};

export interface Opened extends AsyncDisposable {
  readonly train: Dataset;
  readonly val: Dataset;
  /** What was left alone, and what looks odd; to be said, so that nothing is missed in silence. */
  readonly remarks: readonly Remark[];
  /** Whether `val` was held out of the images, which have no part of their own for it. */
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
 * Opens a folder, a .tar or .tar.gz, a .csv or .jsonl list, or a set with a name: of class folders, ImageNet as it is
 * distributed, WebDataset's shards, or CIFAR's binary files (`SOURCES`).
 * @throws DataError when there is no such thing, nothing in it, a single class, or the two parts differ in classes; the
 * message also says what was left alone.
 */
export async function openDataset(path: string, options: OpenOptions = {}): Promise<Opened> {
  checkOptions("openDataset", { path, ...options }, { path: "string", ...OPTIONS });
  const { val, holdOut = 0.1, seed = 0, onProgress = () => {} } = options;
  if (!(holdOut >= 0 && holdOut < 1)) {
    throw new UsageError(`openDataset: holdOut is ${show(holdOut)}, must be from 0 to below 1`);
  }
  requireWhole("openDataset", { seed }, 0);
  const contained: Contents[] = [];
  // One for each path: a source may ask what was said of its own files.
  const [own, others] = [new Remarks(), new Remarks()];
  const remarks = () => [...own.list(), ...others.list()];
  try {
    const contents = await openPath(path, onProgress, own);
    contained.push(contents);
    let parts: Pick<Opened, "train" | "val" | "isHeldOut">;
    if (val !== undefined) {
      const other = await openPath(val, onProgress, others);
      contained.push(other);
      if (!("all" in contents)) remarkUnused(contents.val, own);
      if (!("all" in other)) remarkUnused(other.train, others);
      parts = { train: "all" in contents ? contents.all : contents.train, val: "all" in other ? other.all : other.val };
    } else if (!("all" in contents)) parts = contents;
    else if (holdOut > 0) parts = { ...split(contents.all, holdOut, seed), isHeldOut: true };
    else parts = { train: contents.all, val: contents.all };
    if (val !== undefined || !("all" in contents)) {
      requireSameClasses(parts);
      parts = { ...parts, val: reordered(parts.val, parts.train.classes) };
    }
    if (holdOut > 0 && parts.train.classes.length < 2) {
      throw new DataError(
        `${parts.train.name} has a single class (${parts.train.classes[0]}): there is nothing to tell apart: ${LAYOUT}`,
      );
    }
    if (parts.val.length === 0) {
      throw new DataError(
        `${parts.train.name} has a single image of every class, so that none can be held out for validation: ` +
          `add images, or name others with --val`,
      );
    }
    return opened({ ...parts, remarks: remarks() });
  } catch (error) {
    for (const contents of contained) await ("all" in contents ? contents.all : contents.train).close();
    throw error instanceof DataError ? withRemarks(error, remarks()) : error;
  }
}

/** Says that a part is left alone because --val names another set. */
function remarkUnused(part: Dataset, remarks: Remarks): void {
  for (let i = 0; i < part.length; i++) remarks.add("unused part", part.nameOf(i));
}

/** @throws DataError for a URL */
function refuseUrl(path: string): void {
  if (isUrl(path)) throw new DataError(`${path}: ${NOT_FETCHED}`);
}

/** How a set is remembered: by its absolute path, or by its name when it goes by one and there is no such path. @throws DataError for a URL */
export function locate(data: string): string {
  refuseUrl(data);
  const isName = SOURCES.some((source) => source.names?.includes(data)) && !existsSync(data);
  return isName ? data : resolve(data);
}

/** The bytes of one image file. @throws DataError when it can't be read. */
export async function readImage(path: string): Promise<Encoded> {
  try {
    return { kind: "encoded", bytes: readFileUpTo(path, MAX_FILE_BYTES) };
  } catch (error) {
    throw new DataError(`can't read the image ${path}: ${reason(error)}`, { cause: error });
  }
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
    throw new DataError(`there is no ${path}: ${LAYOUT}, or the name of a set (${names.join(", ")})${near}`);
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
    throw new DataError(`${path} is no set of images: ${LAYOUT}`);
  } catch (error) {
    await listing.close();
    throw error;
  }
}

/** An archive, and what lies in the same folder. */
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
