/** From a path to a data set to train on and one to validate with. */
import { open, readFile, stat } from "node:fs/promises";
import { DataError } from "../errors.ts";
import { openCifar } from "./cifar.ts";
import { holdOut as split, type Dataset, type Encoded } from "./dataset.ts";
import { openFolder } from "./folder.ts";
import { arrange, LAYOUT, type Contents, type Listing } from "./listing.ts";
import { openTar } from "./tar.ts";

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
}

export interface Opened {
  readonly train: Dataset;
  readonly val: Dataset;
}

/**
 * Opens a folder, a .tar or the binary files of CIFAR.
 * @throws DataError when there is no such thing, nothing in it, a single class, or the two parts differ in classes.
 */
export async function openDataset(path: string, { val, holdOut = 0.1, seed = 0 }: OpenOptions = {}): Promise<Opened> {
  const opened: Contents[] = [];
  try {
    const contents = await openPath(path);
    opened.push(contents);
    let parts: Opened;
    if (val !== undefined) {
      const other = await openPath(val);
      opened.push(other);
      parts = { train: "all" in contents ? contents.all : contents.train, val: "all" in other ? other.all : other.val };
    } else if (!("all" in contents)) parts = contents;
    else parts = holdOut > 0 ? split(contents.all, holdOut, seed) : { train: contents.all, val: contents.all };
    if (val !== undefined || !("all" in contents)) requireSameClasses(parts);
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
    return parts;
  } catch (error) {
    for (const contents of opened) await ("all" in contents ? contents.all : contents.train).close();
    throw error;
  }
}

/** The bytes of one image file. @throws DataError when it can't be read. */
export async function readImage(path: string): Promise<Encoded> {
  try {
    return { kind: "encoded", bytes: await readFile(path) };
  } catch (error) {
    throw new DataError(`can't read the image ${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function openPath(path: string): Promise<Contents> {
  const found = await stat(path).catch((error: Error) => {
    throw new DataError(`there is no ${path}: ${LAYOUT}`, { cause: error });
  });
  const listing = found.isDirectory() ? await openFolder(path) : await openArchive(path);
  try {
    return (await openCifar(listing)) ?? (await arrange(listing));
  } catch (error) {
    await listing.close();
    throw error;
  }
}

async function openArchive(path: string): Promise<Listing> {
  const file = await open(path).catch((error: Error) => {
    throw new DataError(`can't open ${path}: ${error.message}`, { cause: error });
  });
  const { buffer } = await file.read(new Uint8Array(4), 0, 4, 0);
  await file.close();
  const packed =
    buffer[0] === 0x1f && buffer[1] === 0x8b ? "gzip" : buffer[0] === 0x50 && buffer[1] === 0x4b ? "zip" : undefined;
  if (packed !== undefined)
    throw new DataError(
      `${path} is compressed (${packed}) and can't be read in place: unpack it, and give the folder or .tar`,
    );
  return openTar(path);
}

function requireSameClasses({ train, val }: Opened): void {
  const missing = train.classes.find((name) => !val.classes.includes(name));
  const unknown = val.classes.find((name) => !train.classes.includes(name));
  if (missing === undefined && unknown === undefined) return;
  const difference = [missing && `${val.name} lacks "${missing}"`, unknown && `${train.name} lacks "${unknown}"`];
  throw new DataError(
    `${train.name} has ${train.classes.length} classes and ${val.name} ${val.classes.length}: ` +
      `${difference.filter(Boolean).join(", ")}: both need the same class folders`,
  );
}
