/** One folder of images per class, at the top or below train/ and val/. The fallback when no other source matches. */
import { DataError } from "../../errors.ts";
import { plural } from "../../words.ts";
import type { Dataset } from "../dataset.ts";
import { imagesAmong, imagesOf, leave, type Contents, type Listing } from "../listing.ts";
import { add, group, nothingToTrainOn } from "./classes.ts";
import type { ImageSource } from "./source.ts";
import { splitAmong, splitOf, type Split } from "./splits.ts";
import { classNames } from "./synsets.ts";

export const LAYOUT =
  "expected a folder (or .tar) with one folder of images for each class, or train/ and val/ with such folders";

export const classFolders: ImageSource = { openListing: arrange };

/** @throws DataError when there are no class folders, or no images in them */
async function arrange(listing: Listing): Promise<Contents> {
  const { paths, name } = listing;
  if (paths.length === 0) throw new DataError(`${name} is empty: ${LAYOUT}`);
  const images = await imagesAmong(listing, paths.keys());
  if (images.length === 0) throw withoutClasses(name, paths.length);
  // Archives often wrap everything in one more folder, with a text file or two beside it.
  let depth = 0;
  while (allBelow(listing, images, depth)) depth++;
  const folders = foldersAt(listing, images, depth);
  const known = new Map(folders.map((folder) => [folder, splitOf(folder)]));
  const splits = Map.groupBy(images, (i) => known.get(folderAt(listing, i, depth) ?? ""));
  if (splits.has("train") && (splits.has("val") || splits.has("test"))) return arrangeSplits(listing, splits, depth);
  if (splits.has("val") && splits.has("test") && folders.every((folder) => known.get(folder))) {
    throw nothingToTrainOn(name, folders.join(" and "));
  }
  remarkSplits(listing, folders);
  return { all: byClass(listing, images, depth, name) };
}

/** The folder at a depth in the path of file i; undefined when the path is shorter. */
function folderAt({ paths }: Listing, i: number, depth: number): string | undefined {
  const path = paths[i]!;
  let start = 0;
  for (let passed = 0; ; passed++) {
    const end = path.indexOf("/", start);
    if (end < 0) return undefined;
    if (passed === depth) return path.slice(start, end);
    start = end + 1;
  }
}

function foldersAt(listing: Listing, files: readonly number[], depth: number): string[] {
  const found = new Set<string>();
  for (const i of files) found.add(folderAt(listing, i, depth) ?? "");
  found.delete("");
  return [...found].sort();
}

/** Whether all files are in subfolders of one folder at this depth. */
function allBelow(listing: Listing, files: readonly number[], depth: number): boolean {
  const folder = folderAt(listing, files[0]!, depth);
  return files.every((i) => folderAt(listing, i, depth) === folder && folderAt(listing, i, depth + 1) !== undefined);
}

/** Train and val. A test split is ignored, or replaces val if there is none. */
function arrangeSplits(
  listing: Listing,
  splits: ReadonlyMap<Split | undefined, readonly number[]>,
  depth: number,
): Contents {
  const open = (split: Split): Dataset | undefined => {
    const own = splits.get(split) ?? [];
    const name = `${listing.name}/${foldersAt(listing, own, depth).join(" + ")}`;
    let at = depth + 1;
    // Some archives have training_set/training_set.
    while (own.length > 0 && splitOf(folderAt(listing, own[0]!, at) ?? "") === split && allBelow(listing, own, at))
      at++;
    if (own.some((i) => folderAt(listing, i, at) !== undefined)) return byClass(listing, own, at, name);
    if (split === "train") throw withoutClasses(name, own.length);
    leave(listing, "unlabelled part", own);
    return undefined;
  };
  leave(listing, "no part", splits.get(undefined) ?? []);
  const [train, val] = [open("train")!, open("val")];
  if (val) leave(listing, "unused part", splits.get("test") ?? []);
  const other = val ?? open("test");
  return other ? { train, val: other } : { all: train };
}

function withoutClasses(name: string, files: number): DataError {
  return new DataError(
    `${name} has ${plural(files, "file")}, but no class folder with JPEG, PNG or WebP images: ${LAYOUT}`,
  );
}

/** A data set whose classes are the folders at `depth`. @throws DataError when there are none */
function byClass(listing: Listing, images: readonly number[], depth: number, name: string): Dataset {
  const classFiles = new Map<string, number[]>();
  const outside: number[] = [];
  for (const i of images) {
    const folder = folderAt(listing, i, depth);
    if (folder === undefined) outside.push(i);
    else add(classFiles, folder, i);
  }
  if (classFiles.size === 0) throw withoutClasses(name, images.length);
  leave(listing, "no class", outside);
  const { keys, labels, indices } = group(listing, classFiles);
  return imagesOf(listing, { name, classes: classNames(keys), labels, indices });
}

/** With more classes than this, names like splits raise no suspicion. */
const MAX_SPLITS = 3;

/** Remarks that a few classes may really be splits with unusual names, such as train1 and test1. */
function remarkSplits({ name, remarks }: Listing, folders: readonly string[]): void {
  const alike = folders.filter((folder) => splitAmong(folder));
  if (folders.length > MAX_SPLITS || new Set(alike.map(splitAmong)).size < 2) return;
  for (const folder of alike) remarks.add("part as class", `${name}/${folder}`);
}
