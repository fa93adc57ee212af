/**
 * ILSVRC-2012 and ILSVRC-2010 as distributed, read without unpacking: the training images as a .tar of one .tar per
 * synset, the validation images in one .tar, labelled by the devkit. Either may be unpacked, or missing.
 */
import { basename, dirname } from "node:path/posix";
import { DataError } from "../../errors.ts";
import { descend, descendAll } from "../archive.ts";
import type { Dataset } from "../dataset.ts";
import { imagesOf, joined, leave, type Contents, type Listing } from "../listing.ts";
import { formatByName } from "../names.ts";
import { add, inOrder } from "./classes.ts";
import { findDevkit, wanted, type Year } from "./devkit.ts";
import type { ImageSource, Progress } from "./source.ts";
import { splitOf } from "./splits.ts";
import { classNames, SYNSET } from "./synsets.ts";

const TRAIN_ARCHIVE = /(?:^|\/)ILSVRC(?:2012|2010)_(?:img|images)_train\.tar$/;
const VAL_ARCHIVE = /(?:^|\/)ILSVRC(?:2012|2010)_(?:img|images)_val\.tar$/;
const SYNSET_ARCHIVE = /(?:^|\/)(n\d{8})\.tar$/;
const SYNSET_IMAGE = /(?:^|\/)(n\d{8})\/[^/]+$/;
const VAL_IMAGE = /(?:^|\/)ILSVRC(2012|2010)_val_(\d{8})\.jpe?g$/i;

export const ilsvrc: ImageSource = {
  async openListing(listing, progress) {
    const { paths } = listing;
    const trainArchive = paths.findIndex((path) => TRAIN_ARCHIVE.test(path));
    const valArchive = paths.findIndex((path) => VAL_ARCHIVE.test(path));
    const isTrain = trainArchive >= 0 || paths.some((path) => SYNSET_ARCHIVE.test(path));
    const isVal = valArchive >= 0 || paths.some((path) => VAL_IMAGE.test(path) && !SYNSET_IMAGE.test(path));
    if (!isTrain && !isVal) return undefined;
    const train = trainArchive >= 0 ? await descend(listing, trainArchive) : listing;
    const classFiles = isTrain ? await synsetArchives(train, progress) : synsetFolders(train);
    const val = valArchive >= 0 ? await descend(listing, valArchive) : listing;
    leave(listing, "other archive", otherArchives(paths));
    return arrangeSynsets(listing, classFiles, isVal ? await valImages(val, listing) : synsetFolders(val, true));
  },
};

/** Archives of test images or bounding boxes. */
function otherArchives(paths: readonly string[]): number[] {
  const known = [TRAIN_ARCHIVE, VAL_ARCHIVE, SYNSET_ARCHIVE];
  return Array.from(paths.keys()).filter(
    (i) => paths[i]!.endsWith(".tar") && !known.some((archive) => archive.test(paths[i]!)),
  );
}

/** Images by synset. */
export interface SynsetFiles {
  readonly listing: Listing;
  readonly files: ReadonlyMap<string, readonly number[]>;
  /** All synsets, where more are known than have images. */
  readonly wnids?: readonly string[];
  readonly words?: ReadonlyMap<string, string>;
  /** The synsets' challenge numbers. */
  readonly ids?: ReadonlyMap<string, number>;
}

/**
 * The images in folders named after synsets: training images, or those below val/. ImageNet's images all have a file
 * extension, so the half a million annotations that may be there need not be opened.
 */
export function synsetFolders(listing: Listing, below = false): SynsetFiles {
  const folders = Map.groupBy(listing.paths.keys(), (i) => dirname(listing.paths[i]!));
  const files = new Map<string, number[]>();
  for (const [folder, own] of folders) {
    const splits = folder.split("/").map(splitOf);
    const wnid = basename(folder);
    const fits = below ? splits.includes("val") : !splits.includes("val") && !splits.includes("test");
    if (SYNSET.test(wnid) && fits) for (const i of own) if (formatByName(listing.paths[i]!)) add(files, wnid, i);
  }
  return { listing, files };
}

/** The images in archives named after synsets. */
async function synsetArchives(listing: Listing, progress: Progress): Promise<SynsetFiles> {
  const found = new Map<string, number>();
  listing.paths.forEach((path, i) => {
    const wnid = SYNSET_ARCHIVE.exec(path)?.[1];
    if (wnid) found.set(wnid, i);
  });
  if (found.size === 0) throw new DataError(`${listing.name} does not contain a synset's .tar (such as n01440764.tar)`);
  const wnids = [...found.keys()].sort();
  const archives = wnids.map((wnid) => found.get(wnid)!);
  const inner = await descendAll(listing, archives, progress);
  const all = joined(
    listing,
    inner.map((files, k) => [wnids[k]!, files]),
  );
  return { ...synsetFolders(all), wnids };
}

/** Numbered images, with their classes from the devkit. */
async function valImages(listing: Listing, outer: Listing): Promise<SynsetFiles> {
  const images = new Map<number, number>();
  let year: Year | undefined;
  listing.paths.forEach((path, i) => {
    const [, its, number] = SYNSET_IMAGE.test(path) ? [] : (VAL_IMAGE.exec(path) ?? []);
    if (its === undefined) return;
    year ??= its as Year;
    images.set(Number(number), i);
  });
  if (year === undefined) throw new DataError(`${listing.name} has no image like ILSVRC2012_val_00000001.JPEG`);
  const devkit = await findDevkit(outer, year);
  if (!devkit) throw new DataError(`${outer.name} has validation images of ILSVRC-${year}, but ${wanted(year)}`);
  const files = new Map<string, number[]>();
  for (const [number, i] of images) add(files, devkit.synsetOf(number), i);
  return { listing, files, wnids: devkit.wnids, words: devkit.words, ids: devkit.ids };
}

/**
 * Both splits with the same classes: the synsets of the training images or, without those, all of the challenge.
 * @throws DataError when a synset has validation images, but no training images
 */
export function arrangeSynsets(outer: Listing, train: SynsetFiles, val: SynsetFiles): Contents {
  for (const listing of new Set([outer, train.listing, val.listing])) leaveOthers(listing, [train, val]);
  const words = new Map([...(train.words ?? []), ...(val.words ?? [])]);
  const open = ({ listing, files }: SynsetFiles, wnids: readonly string[], name: string): Dataset => {
    const { labels, indices } = inOrder(listing, files, wnids);
    const images = imagesOf(listing, { name, classes: classNames(wnids, words), labels, indices });
    const challengeIds = wnids.flatMap((wnid) => val.ids?.get(wnid) ?? []);
    const areKnown = challengeIds.length === wnids.length;
    return { ...images, ...(areKnown && { challengeIds }), close: () => outer.close() };
  };
  const all = (files: SynsetFiles) => open(files, files.wnids ?? [...files.files.keys()].sort(), outer.name);
  if (train.files.size === 0) return { all: all(val) };
  if (val.files.size === 0) return { all: all(train) };
  const wnids = train.wnids ?? [...train.files.keys()].sort();
  const known = new Set(wnids);
  const unknown = [...val.files.keys()].find((wnid) => !known.has(wnid));
  if (unknown !== undefined) {
    const whose = `${classNames([unknown], words)[0]}, ${unknown}`;
    throw new DataError(`${val.listing.name} has images of "${whose}", but ${train.listing.name} has none to train on`);
  }
  const nameOf = ({ listing }: SynsetFiles, its: string) =>
    train.listing === val.listing ? `${listing.name} (${its})` : listing.name;
  return { train: open(train, wnids, nameOf(train, "train")), val: open(val, wnids, nameOf(val, "val")) };
}

/** Remarks images that are in neither split, such as test images. */
function leaveOthers(listing: Listing, splits: readonly SynsetFiles[]): void {
  const own = splits.filter((split) => split.listing === listing).flatMap(({ files }) => [...files.values()].flat());
  const used = new Set(own);
  for (const [i, path] of listing.paths.entries()) {
    if (formatByName(path) && !used.has(i)) leave(listing, "no part", [i]);
  }
}
