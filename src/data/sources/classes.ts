/** From what files are labelled with to numbered classes, and to parts of a set. */
import { imagesOf, type Contents, type Listing } from "../listing.ts";

/** By the bytes of UTF-8, as other programs sort folders. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export interface Grouped {
  readonly keys: readonly string[];
  readonly labels: Uint32Array;
  readonly indices: Uint32Array;
}

/** Numbers the classes of files (by number in the listing) in the order of their keys; each one's files go by path. */
export function group(listing: Listing, files: ReadonlyMap<string, readonly number[]>): Grouped {
  const keys = [...files.keys()].sort(byBytes);
  const { labels, indices } = inOrder(listing, files, keys);
  return { keys, labels, indices };
}

/** As `group`, for classes in an order that is given. */
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

export type Part = "train" | "val" | "test";

/** What people call the parts of a set. */
export const PARTS: Readonly<Record<string, Part>> = {
  train: "train",
  training: "train",
  val: "val",
  valid: "val",
  validation: "val",
  dev: "val",
  test: "test",
  testing: "test",
};

export interface Labelled {
  readonly name: string;
  readonly classes: readonly string[];
  /** For each image its class, which file it is, and the part it belongs to. */
  readonly labels: readonly number[];
  readonly indices: readonly number[];
  readonly parts: readonly (Part | undefined)[];
  readonly ignored: number;
}

/** The parts of a set, when there is one to train on and one to validate with; val is preferred to test. */
export function inParts(listing: Listing, { name, classes, labels, indices, parts, ignored }: Labelled): Contents {
  const val = parts.includes("val") ? "val" : "test";
  const images = (part: Part | undefined, said: string) => {
    const own = Array.from(parts.keys()).filter((k) => part === undefined || parts[k] === part);
    return imagesOf(listing, {
      name: said,
      classes,
      labels: Uint32Array.from(own, (k) => labels[k]!),
      indices: Uint32Array.from(own, (k) => indices[k]!),
      ignored: part === val ? 0 : ignored,
    });
  };
  if (!parts.includes("train") || !parts.includes(val)) return { all: images(undefined, name) };
  return { train: images("train", `${name} (train)`), val: images(val, `${name} (${val})`) };
}
