/** A folder of images for each class: at the top, or below train/ and val/. What no other source knows is this. */
import { DataError } from "../../errors.ts";
import type { Dataset } from "../dataset.ts";
import { formatOf, SIGNATURE_BYTES } from "../header.ts";
import { HIDDEN, IMAGE_ENDING, imagesOf, type Contents, type Listing } from "../listing.ts";
import { add, group } from "./classes.ts";
import type { Source } from "./source.ts";
import { classNames } from "./synsets.ts";

export const LAYOUT =
  "expected a folder (or .tar) with one folder of images for each class, or train/ and val/ with such folders";

const TRAIN = "train";
/** The first of these that is there; test/ is for the end, so it comes last. */
const VALIDATION = ["val", "valid", "validation", "test"];

export const classFolders: Source = { openListing: arrange };

/** @throws DataError when there are no class folders or no images in them */
async function arrange(listing: Listing): Promise<Contents> {
  const { paths, name } = listing;
  const files = Array.from(paths.keys()).filter((i) => !HIDDEN.test(paths[i]!));
  if (files.length === 0) throw new DataError(`${name} is empty: ${LAYOUT}`);
  // Archives often hold everything below one more folder, with a text or two beside it.
  const images = files.filter((i) => IMAGE_ENDING.test(paths[i]!));
  const first = images.length > 0 ? paths[images[0]!]!.split("/") : [];
  let depth = 0;
  const isBelow = (i: number) => {
    const parts = paths[i]!.split("/");
    return parts.length > depth + 2 && parts[depth] === first[depth];
  };
  while (images.length > 0 && images.every(isBelow)) depth++;
  const folderOf = (i: number): string | undefined => {
    const parts = paths[i]!.split("/");
    return parts.length > depth + 1 ? parts[depth] : undefined;
  };
  const folders = new Set(files.map(folderOf));
  const val = VALIDATION.find((folder) => folders.has(folder));
  if (!folders.has(TRAIN) || val === undefined) return { all: await byClass(listing, files, depth, name) };
  const below = (folder: string) => {
    const own = files.filter((i) => folderOf(i) === folder);
    return byClass(listing, own, depth + 1, `${name}/${folder}`);
  };
  return { train: await below(TRAIN), val: await below(val) };
}

/** The images whose class is the folder at `depth`. */
async function byClass(listing: Listing, files: readonly number[], depth: number, name: string): Promise<Dataset> {
  const classFiles = new Map<string, number[]>();
  let ignored = 0;
  for (const i of files) {
    const parts = listing.paths[i]!.split("/");
    if (parts.length < depth + 2 || !(IMAGE_ENDING.test(parts.at(-1)!) || (await isImage(listing, i)))) ignored++;
    else add(classFiles, parts[depth]!, i);
  }
  if (classFiles.size === 0) {
    throw new DataError(
      `${name} holds ${files.length} files but no class folder with JPEG, PNG or WebP images: ${LAYOUT}`,
    );
  }
  const { keys, labels, indices } = group(listing, classFiles);
  return imagesOf(listing, { name, classes: classNames(keys), labels, indices, ignored });
}

/** Looks into a file. Not done where the ending says what it is, since opening a million files takes minutes. */
async function isImage(listing: Listing, i: number): Promise<boolean> {
  return formatOf(await listing.head(i, SIGNATURE_BYTES)) !== undefined;
}
