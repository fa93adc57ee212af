/** A set of files in a folder or in an archive, and sets of images made of them. */
import { DataError } from "../errors.ts";
import type { Bytes, FileRange } from "../io/bytes.ts";
import type { Dataset } from "./dataset.ts";
import { formatOf, SIGNATURE_BYTES } from "./header.ts";
import { formatByName, isOtherFormat } from "./names.ts";
import type { RemarkKind, Remarks } from "./remarks.ts";
import type { Unpacking } from "./unpacking.ts";

/** Files by number. Paths are relative, divided by "/", without ".", ".." and empty parts. */
export interface Listing {
  /** For people: the path of the folder or archive. */
  readonly name: string;
  /** What was left alone; whoever passes over some of the files adds to it. */
  readonly remarks: Remarks;
  /** What may still be unpacked of the archives among the files. */
  readonly unpacking: Unpacking;
  readonly paths: readonly string[];
  /** In how many archives the files lie, one in the other: 0 in a folder. */
  readonly depth: number;
  /** All of file i. */
  read(i: number): Promise<Uint8Array>;
  /** Its first `length` bytes, fewer when it is shorter. */
  head(i: number, length: number): Promise<Uint8Array>;
  /** File i, to be read by place: an archive among the files. It is closed with the listing. */
  open(i: number): Promise<Bytes>;
  /** Where file i lies on disk; absent where the files are in memory. */
  place?(i: number): FileRange;
  /** A file beside the folder or archive, or undefined; for the caller to close. */
  beside?(path: string): Promise<Bytes | undefined>;
  close(): Promise<void>;
}

/** What a path holds: with parts to train on and to validate with both, otherwise all images in one. */
export type Contents = { readonly train: Dataset; readonly val: Dataset } | { readonly all: Dataset };

/** The path of file i, for people. */
export const nameIn = ({ name, paths }: Listing, i: number): string => `${name}/${paths[i]}`;

/** Remarks that these files were left alone. */
export function leave(listing: Listing, kind: RemarkKind, files: Iterable<number>): void {
  for (const i of files) listing.remarks.add(kind, nameIn(listing, i));
}

/**
 * Those of the files that are images: by their ending, else by their first bytes, since a look into each of a million
 * files would take minutes. What an image really holds shows when it is decoded. Others are left alone.
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
    // It is not the archive that is damaged.
    if (listing.depth === 0 && error instanceof DataError) return undefined;
    throw error;
  }
}

/** What a file is that is no image. */
export const kindOfOther = (path: string): RemarkKind => (isOtherFormat(path) ? "other format" : "other file");

interface Images {
  readonly name: string;
  readonly classes: readonly string[];
  /** For each image its class, and which file it is. */
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
}

/** The set of some images among the files. It closes the listing when it is closed. */
export function imagesOf(listing: Listing, { name, classes, labels, indices }: Images): Dataset {
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
 * The files of several archives of a listing in one, as if each were a folder. It closes the listing that they are in.
 * @param inner the archives' files, each with the folder's name
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

/** Which of several runs of numbers holds number i. @param firsts the first number of each, ascending */
export function holderOf(firsts: readonly number[], i: number): number {
  let [low, high] = [0, firsts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (firsts[middle]! <= i) low = middle;
    else high = middle;
  }
  return low;
}
