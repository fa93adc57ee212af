/** Turns the labels of files into numbered classes, and their splits into data sets. */
import { DataError } from "../../errors.ts";
import { imagesOf, leave, type Contents, type Listing } from "../listing.ts";
import type { Split } from "./splits.ts";

/** Compares the bytes of UTF-8, as other programs sort folders. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * The distinct names, sorted. macOS stores é decomposed (NFD), others as one character (NFC): names that differ only in
 * that are the same, and sort by their first spelling.
 */
export function distinct(names: Iterable<string>, order = byBytes): string[] {
  const spellings = [...new Set(names)].sort(order);
  return [...new Set(spellings.map((name) => name.normalize()))];
}

interface Grouped {
  readonly keys: readonly string[];
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
}

/** Numbers classes in the order of their keys. Within a class, files are sorted by path. @param files indices by class */
export function group(listing: Listing, files: ReadonlyMap<string, readonly number[]>): Grouped {
  const keys = distinct(files.keys());
  const merged = new Map<string, number[]>();
  for (const [key, own] of files) for (const i of own) add(merged, key.normalize(), i);
  const { labels, indices } = inOrder(listing, merged, keys);
  return { keys, labels, indices };
}

/** As `group`, for classes in a given order. */
export function inOrder(
  listing: Listing,
  files: ReadonlyMap<string, readonly number[]>,
  keys: readonly string[],
): Pick<Grouped, "labels" | "indices"> {
  const members = keys.map((key) => files.get(key) ?? []);
  const labels = new Uint32Array(members.reduce((sum, { length }) => sum + length, 0));
  const indices = new Uint32Array(labels.length);
  let at = 0;
  members.forEach((own, label) => {
    labels.fill(label, at, at + own.length);
    indices.set(
      own.toSorted((a, b) => (listing.paths[a]! < listing.paths[b]! ? -1 : 1)),
      at,
    );
    at += own.length;
  });
  return { labels, indices };
}

/** Adds a file to its class. */
export function add(files: Map<string, number[]>, key: string, index: number): void {
  const own = files.get(key);
  if (own) own.push(index);
  else files.set(key, [index]);
}

interface Labelled {
  readonly name: string;
  readonly classes: readonly string[];
  /** For each image its class index, the index of its file, and its split. */
  readonly labels: readonly number[];
  readonly indices: readonly number[];
  readonly splits: readonly (Split | undefined)[];
}

/**
 * The training and the validation split if there are several, otherwise all images. Val is preferred to test.
 * @throws DataError when there are several splits, but no train
 */
export function inSplits(listing: Listing, { name, classes, labels, indices, splits }: Labelled): Contents {
  const there = new Set(splits);
  const val = there.has("val") ? "val" : "test";
  const numbersOf = (split: Split) => Array.from(splits.keys()).filter((k) => splits[k] === split);
  const images = (chosen: readonly number[], said: string) =>
    imagesOf(listing, {
      name: said,
      classes,
      labels: Uint32Array.from(chosen, (k) => labels[k]!),
      indices: Uint32Array.from(chosen, (k) => indices[k]!),
    });
  if (there.size < 2) return { all: images([...splits.keys()], name) };
  if (!there.has("train")) throw nothingToTrainOn(name, "val and test");
  if (val === "val") {
    const unused = numbersOf("test").map((k) => indices[k]!);
    leave(listing, "unused part", unused);
  }
  return { train: images(numbersOf("train"), `${name} (train)`), val: images(numbersOf(val), `${name} (${val})`) };
}

export function nothingToTrainOn(name: string, splits: string): DataError {
  return new DataError(`${name} has the splits ${splits}, but no train: keep one of them, or add train`);
}
