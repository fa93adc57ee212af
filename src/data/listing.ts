/**
 * A set of files, in a folder or in an archive, and how they make a data set: class folders at the top, or train/ and
 * val/ with class folders below.
 */
import { DataError } from "../errors.ts";
import type { Dataset, Place } from "./dataset.ts";
import { formatOf, SIGNATURE_BYTES } from "./header.ts";

/** Files by number. Paths are relative, divided by "/", without "." and empty parts. */
export interface Listing {
  /** For people: the path of the folder or archive. */
  readonly name: string;
  readonly paths: readonly string[];
  /** All of file i. */
  read(i: number): Promise<Uint8Array>;
  /** Its first `length` bytes, fewer when it is shorter. */
  head(i: number, length: number): Promise<Uint8Array>;
  /** Where file i lies on disk; absent where the files are in memory. */
  place?(i: number): Place;
  close(): Promise<void>;
}

/** What a path holds: with train/ and val/ both parts, otherwise all images in one. */
export type Contents = { readonly train: Dataset; readonly val: Dataset } | { readonly all: Dataset };

const IMAGE_ENDING = /\.(jpe?g|png|webp)$/i;
const TRAIN = "train";
/** The first of these that is there; test/ is for the end, so it comes last. */
const VALIDATION = ["val", "valid", "validation", "test"];

/** @throws DataError when there are no class folders or no images in them. */
export async function arrange(listing: Listing): Promise<Contents> {
  const files = listing.paths
    .map((path, index) => ({ parts: path.split("/"), index }))
    .filter(({ parts }) => !parts.some((part) => part.startsWith(".") || part === "__MACOSX"));
  if (files.length === 0) throw new DataError(`${listing.name} is empty: ${LAYOUT}`);
  // Archives often hold everything below one more folder, with a text or two beside it.
  const images = files.filter(({ parts }) => IMAGE_ENDING.test(parts.at(-1)!));
  const first = images[0]?.parts;
  let depth = 0;
  while (first && images.every(({ parts }) => parts.length > depth + 2 && parts[depth] === first[depth])) depth++;
  const folders = new Set(files.filter(({ parts }) => parts.length > depth + 1).map(({ parts }) => parts[depth]));
  const val = VALIDATION.find((name) => folders.has(name));
  if (!folders.has(TRAIN) || val === undefined) return { all: await byClass(listing, files, depth, listing.name) };
  const below = (folder: string) =>
    byClass(
      listing,
      files.filter(({ parts }) => parts[depth] === folder),
      depth + 1,
      `${listing.name}/${folder}`,
    );
  return { train: await below(TRAIN), val: await below(val) };
}

export const LAYOUT =
  "expected a folder (or .tar) with one folder of images for each class, or train/ and val/ with such folders";

interface Path {
  readonly parts: readonly string[];
  readonly index: number;
}

/** The images whose class is the folder at `depth`. Classes are sorted by the bytes of their names, files by path. */
async function byClass(listing: Listing, files: readonly Path[], depth: number, name: string): Promise<Dataset> {
  const classFiles = new Map<string, Path[]>();
  let ignored = 0;
  for (const file of files) {
    if (file.parts.length < depth + 2 || !(await looksLikeImage(listing, file))) {
      ignored++;
      continue;
    }
    const folder = file.parts[depth]!;
    const members = classFiles.get(folder);
    if (members) members.push(file);
    else classFiles.set(folder, [file]);
  }
  if (classFiles.size === 0) {
    throw new DataError(
      `${name} holds ${files.length} files but no class folder with JPEG, PNG or WebP images: ${LAYOUT}`,
    );
  }
  const classes = [...classFiles.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const counts = classes.map((folder) => classFiles.get(folder)!.length);
  const labels = new Uint32Array(counts.reduce((sum, count) => sum + count, 0));
  const indices = new Uint32Array(labels.length);
  let at = 0;
  classes.forEach((folder, label) => {
    const members = classFiles.get(folder)!.map(({ index }) => index);
    members.sort((a, b) => (listing.paths[a]! < listing.paths[b]! ? -1 : 1));
    labels.fill(label, at, at + members.length);
    indices.set(members, at);
    at += members.length;
  });
  return {
    name,
    classes,
    length: labels.length,
    ignored,
    label: (i) => labels[i]!,
    nameOf: (i) => `${listing.name}/${listing.paths[indices[i]!]}`,
    read: async (i) => ({ kind: "encoded", bytes: await listing.read(indices[i]!) }),
    ...(listing.place && { place: (i) => listing.place!(indices[i]!) }),
    close: () => listing.close(),
  };
}

/**
 * By the ending where it says so, since opening a million files takes minutes; what such a file really holds shows
 * when it is decoded. Any other file is looked into.
 */
async function looksLikeImage(listing: Listing, { parts, index }: Path): Promise<boolean> {
  return IMAGE_ENDING.test(parts.at(-1)!) || formatOf(await listing.head(index, SIGNATURE_BYTES)) !== undefined;
}
