/**
 * A data set: numbered images, each with a class. Only the source that made it knows where they come from (folders,
 * archives, binary files, a drawing).
 */
import { DataError } from "../errors.ts";
import type { FileRange } from "../io/bytes.ts";
import { Purpose, Random } from "../random.ts";
import { plural } from "../words.ts";

/** An image file's bytes: JPEG, PNG or WebP. */
export interface Encoded {
  readonly kind: "encoded";
  readonly bytes: Uint8Array;
}

/** A decoded image: interleaved RGB, row by row, one byte per channel. */
export interface Pixels {
  readonly kind: "pixels";
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The principal axes of the RGB values of all pixels (0 … 255), largest variance first. */
export interface ColourAxes {
  /** λ, the eigenvalues of the 3 × 3 covariance. */
  readonly values: readonly number[];
  /** p, the unit eigenvectors, each red, green and blue. */
  readonly vectors: readonly (readonly number[])[];
}

export interface Statistics {
  /** The mean image, S × S × 3, 0 … 255. */
  readonly mean: Float32Array;
  readonly channelMean: readonly number[];
  /** 3 × 3, row by row. */
  readonly covariance: readonly number[];
  readonly axes: ColourAxes;
  /** Number of images measured. */
  readonly images: number;
}

export interface Dataset {
  /** For messages, e.g. the path. */
  readonly name: string;
  /** The folder or archive with the images, with which `nameOf` begins; absent where names have no such prefix. */
  readonly root?: string;
  /** Class names, indexed by label. */
  readonly classes: readonly string[];
  /** The ImageNet challenge's class numbers, from 1, where its devkit was found. */
  readonly challengeIds?: readonly number[];
  /** Number of images. */
  readonly length: number;
  /** Side in pixels where all images are squares of one size (CIFAR, the built-in set). */
  readonly imageSize?: number;
  /** Measured over all of its images, for records of one size. */
  readonly statistics?: Statistics;
  /** The class of image i, an index into `classes`. */
  label(i: number): number;
  /** Where image i comes from, for messages. */
  nameOf(i: number): string;
  /** Image i. Rejects when the file can't be read; whether it really is an image shows only in decoding. */
  read(i: number): Promise<Encoded | Pixels>;
  /** Where image i is on disk; absent where images are in memory. */
  place?(i: number): FileRange;
  /** Closes its open files. */
  close(): Promise<void>;
}

/** A set's name without the folders above it; of a part of one, with the folder of all parts: "photos/val". */
export function titleOf({ name }: Pick<Dataset, "name">): string {
  const parts = name.split(/[\\/]/).filter((part) => part !== "");
  return parts.slice(/^(train|val)$/.test(parts.at(-1) ?? "") ? -2 : -1).join("/");
}

/** The name of image i within the set, independent of the set's path. */
export function nameWithin(dataset: Dataset, i: number): string {
  const { root } = dataset;
  const name = dataset.nameOf(i);
  return root !== undefined && name.startsWith(`${root}/`) ? name.slice(root.length + 1) : name;
}

/** The same set, for those who must not close it. */
export function borrowed(dataset: Dataset): Dataset {
  const all = subset(
    dataset,
    Uint32Array.from({ length: dataset.length }, (_, i) => i),
  );
  return { ...all, ...(dataset.statistics && { statistics: dataset.statistics }), close: async () => {} };
}

/** The images of `dataset` given by `indices`, in that order. Shares the files of the whole. */
export function subset(dataset: Dataset, indices: Uint32Array, name = dataset.name): Dataset {
  return {
    name,
    ...(dataset.root !== undefined && { root: dataset.root }),
    classes: dataset.classes,
    ...(dataset.challengeIds && { challengeIds: dataset.challengeIds }),
    length: indices.length,
    imageSize: dataset.imageSize,
    label: (i) => dataset.label(indices[i]!),
    nameOf: (i) => dataset.nameOf(indices[i]!),
    read: (i) => dataset.read(indices[i]!),
    ...(dataset.place && { place: (i) => dataset.place!(indices[i]!) }),
    close: () => dataset.close(),
  };
}

/** The same images, with labels renumbered to the order of `classes`, a permutation of the set's own. */
export function reordered(dataset: Dataset, classes: readonly string[]): Dataset {
  if (classes.every((name, label) => name === dataset.classes[label])) return dataset;
  const numbers = new Map(classes.map((name, label) => [name, label]));
  const labels = dataset.classes.map((name) => numbers.get(name)!);
  const { challengeIds } = dataset;
  return {
    ...dataset,
    classes,
    ...(challengeIds && { challengeIds: classes.map((name) => challengeIds[dataset.classes.indexOf(name)]!) }),
    label: (i) => labels[dataset.label(i)]!,
  };
}

/**
 * Holds out a fraction `share` of every class, chosen by `seed`: at least one image if the class has two, and never all
 * of them. Both splits keep the order of the whole.
 */
export function holdOut(dataset: Dataset, share: number, seed: number): { train: Dataset; val: Dataset } {
  const held = new Uint8Array(dataset.length);
  for (const members of shuffledClasses(dataset, seed)) {
    const count = Math.min(members.length - 1, Math.max(1, Math.round(members.length * share)));
    for (const i of members.slice(0, count)) held[i] = 1;
  }
  return divided(dataset, held, `${dataset.name} (held out)`);
}

/** Which part of a set is held out, from 1, and of how many. */
export type Fold = readonly [fold: number, folds: number];

/**
 * Holds out one of several parts, each of which has as equal a share as can be of all images and of each class. Images
 * that are the only one of their class are never held out.
 * @throws DataError when there are fewer images than parts
 */
export function holdOutFold(dataset: Dataset, [fold, folds]: Fold, seed: number): { train: Dataset; val: Dataset } {
  const held = new Uint8Array(dataset.length);
  const several = shuffledClasses(dataset, seed).flatMap((members) => (members.length > 1 ? members : []));
  if (several.length < folds) {
    throw new DataError(
      `${dataset.name} has ${plural(several.length, "image")} in classes of two or more, too few for ${folds} folds`,
    );
  }
  // Dealt out like cards, class after class.
  for (const [k, i] of several.entries()) if (k % folds === fold - 1) held[i] = 1;
  return divided(dataset, held, `${dataset.name} (part ${fold} of ${folds})`);
}

/** The images of each class, in an order chosen by `seed`. */
function shuffledClasses(dataset: Dataset, seed: number): number[][] {
  const byClass: number[][] = dataset.classes.map(() => []);
  for (let i = 0; i < dataset.length; i++) byClass[dataset.label(i)]!.push(i);
  return byClass.map((members, label) => {
    const order = new Random(seed, Purpose.split, label).permutation(members.length);
    return Array.from(order, (k) => members[k]!);
  });
}

function divided(dataset: Dataset, held: Uint8Array, name: string): { train: Dataset; val: Dataset } {
  const indices = Uint32Array.from({ length: dataset.length }, (_, i) => i);
  return {
    train: subset(
      dataset,
      indices.filter((i) => held[i] === 0),
    ),
    val: subset(
      dataset,
      indices.filter((i) => held[i] === 1),
      name,
    ),
  };
}
