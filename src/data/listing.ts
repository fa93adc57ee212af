/** A set of files in a folder or in an archive, and sets of images made of them. */
import type { Bytes } from "./bytes.ts";
import type { Dataset, Place } from "./dataset.ts";

/** Files by number. Paths are relative, divided by "/", without "." and empty parts. */
export interface Listing {
  /** For people: the path of the folder or archive. */
  readonly name: string;
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
  place?(i: number): Place;
  /** A file beside the folder or archive, or undefined; for the caller to close. */
  beside?(path: string): Promise<Bytes | undefined>;
  close(): Promise<void>;
}

/** What a path holds: with parts to train on and to validate with both, otherwise all images in one. */
export type Contents = { readonly train: Dataset; readonly val: Dataset } | { readonly all: Dataset };

/** What is an image by its name; what such a file really holds shows when it is decoded. */
export const IMAGE_ENDING = /\.(jpe?g|png|webp)$/i;

/** What systems leave in folders and archives: no part of a set. */
export const HIDDEN = /(^|\/)(\.|__MACOSX(\/|$))/;

export interface Images {
  readonly name: string;
  readonly classes: readonly string[];
  /** For each image its class, and which file it is. */
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
  readonly ignored?: number;
}

/** The set of some images among the files. It closes the listing when it is closed. */
export function imagesOf(listing: Listing, { name, classes, labels, indices, ignored = 0 }: Images): Dataset {
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
