/** The files in a folder or an archive, and data sets made of them. */
import { DataError } from "../errors.ts";
import type { Bytes, FileRange } from "../io/bytes.ts";
import type { Dataset } from "./dataset.ts";
import { formatOf, SIGNATURE_BYTES } from "./header.ts";
import { formatByName, isOtherFormat } from "./names.ts";
import type { RemarkKind, Remarks } from "./remarks.ts";
import type { Unpacking } from "./unpacking.ts";

/** Numbered files. Paths are relative and use "/", without ".", ".." or empty components. */
export interface Listing {
  /** For messages: the path of the folder or archive. */
  readonly name: string;
  /** What was ignored; whoever ignores a file adds to it. */
  readonly remarks: Remarks;
  /** The memory budget for decompressing archives among the files. */
  readonly unpacking: Unpacking;
  readonly paths: readonly string[];
  /** How many archives the files are nested in: 0 in a folder. */
  readonly depth: number;
  /** All of file i. */
  read(i: number): Promise<Uint8Array>;
  /** The first `length` bytes of file i, or all if it is shorter. */
  head(i: number, length: number): Promise<Uint8Array>;
  /** Opens file i, such as an archive, for random access. Closed with the listing. */
  open(i: number): Promise<Bytes>;
  /** Where file i is on disk; absent where the files are in memory. */
  place?(i: number): FileRange;
  /** Opens a file beside the folder or archive; undefined if there is none. The caller closes it. */
  beside?(path: string): Promise<Bytes | undefined>;
  close(): Promise<void>;
}

/** What a path holds: a training and a validation split, or all images undivided. */
export type Contents = { readonly train: Dataset; readonly val: Dataset } | { readonly all: Dataset };

/** The path of file i, for messages. */
export const nameIn = ({ name, paths }: Listing, i: number): string => `${name}/${paths[i]}`;

/** Records that these files are ignored. */
export function leave(listing: Listing, kind: RemarkKind, files: Iterable<number>): void {
  for (const i of files) listing.remarks.add(kind, nameIn(listing, i));
}

/**
 * Finds the images among the files: by extension, otherwise by their first bytes, since opening each of a million files
 * would take minutes. Whether they really are images shows in decoding. The other files are ignored.
 * @throws DataError when an archive can't be read
 */
export async function imagesAmong(listing: Listing, files: Iterable<number>): Promise<number[]> {
  const images: number[] = [];
  for (const i of files) {
    const path = listing.paths[i]!;
    if (formatByName(path)) images.push(i);
    else {
      const head = await beginning(listing, i);
      if (head && formatOf(head)) images.push(i);
      else leave(listing, head ? kindOfOther(path) : "unreadable", [i]);
    }
  }
  return images;
}

/** The first bytes of file i; undefined for a file in a folder that can't be read. */
async function beginning(listing: Listing, i: number): Promise<Uint8Array | undefined> {
  try {
    return await listing.head(i, SIGNATURE_BYTES);
  } catch (error) {
    // A single file, not a damaged archive.
    if (listing.depth === 0 && error instanceof DataError) return undefined;
    throw error;
  }
}

/** The kind of a file that is not a readable image. */
export const kindOfOther = (path: string): RemarkKind => (isOtherFormat(path) ? "other format" : "other file");

interface ListedImages {
  readonly name: string;
  readonly classes: readonly string[];
  /** For each image its class index, and the index of its file. */
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
}

/** A data set of images among the files. Closing it closes the listing. */
export function imagesOf(listing: Listing, { name, classes, labels, indices }: ListedImages): Dataset {
  return {
    name,
    root: listing.name,
    classes,
    length: labels.length,
    label: (i) => labels[i]!,
    nameOf: (i) => nameIn(listing, indices[i]!),
    read: async (i) => ({ kind: "encoded", bytes: await listing.read(indices[i]!) }),
    ...(listing.place && { place: (i) => listing.place!(indices[i]!) }),
    close: () => listing.close(),
  };
}

/**
 * Joins the files of several archives in a listing, as if each archive were a folder. Closing it closes `outer`.
 * @param inner for each archive its folder's name and its files
 */
export function joined(outer: Listing, inner: readonly (readonly [folder: string, files: Listing])[]): Listing {
  const paths: string[] = [];
  const firsts: number[] = [];
  for (const [folder, files] of inner) {
    firsts.push(paths.length);
    for (const path of files.paths) paths.push(`${folder}/${path}`);
  }
  const find = (i: number): [Listing, number] => {
    const k = holderOf(firsts, i);
    return [inner[k]![1], i - firsts[k]!];
  };
  const onDisk = inner.every(([, files]) => files.place);
  return {
    name: outer.name,
    remarks: outer.remarks,
    unpacking: outer.unpacking,
    paths,
    depth: outer.depth + 1,
    read(i) {
      const [files, k] = find(i);
      return files.read(k);
    },
    head(i, length) {
      const [files, k] = find(i);
      return files.head(k, length);
    },
    open(i) {
      const [files, k] = find(i);
      return files.open(k);
    },
    ...(onDisk && {
      place(i: number) {
        const [files, k] = find(i);
        return files.place!(k);
      },
    }),
    ...(outer.beside && { beside: outer.beside }),
    close: () => outer.close(),
  };
}

/** Which of several consecutive ranges contains i (binary search). @param firsts the start of each, ascending */
export function holderOf(firsts: readonly number[], i: number): number {
  let [low, high] = [0, firsts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (firsts[middle]! <= i) low = middle;
    else high = middle;
  }
  return low;
}
