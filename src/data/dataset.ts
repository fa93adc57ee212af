/**
 * What a set of images is to everything else: numbered samples with a class each. Where they come from (folders,
 * archives, binary files, a drawing) is known only to the file that made the set.
 */
import type { FileRange } from "../io/bytes.ts";
import { Purpose, Random } from "../random.ts";

/** An image file's bytes: JPEG, PNG or WebP. */
export interface Encoded {
  readonly kind: "encoded";
  readonly bytes: Uint8Array;
}

/** An image as it is: interleaved RGB, row after row, one byte a channel. */
export interface Pixels {
  readonly kind: "pixels";
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The principal axes of the RGB values of all pixels, in units of 0 … 255, the longest first. */
export interface ColourAxes {
  /** λ, the eigenvalues of the 3 × 3 covariance. */
  readonly values: readonly number[];
  /** p, the unit eigenvectors, each red, green and blue. */
  readonly vectors: readonly (readonly number[])[];
}

export interface Statistics {
  /** The mean of every pixel, S × S × 3, 0 … 255. */
  readonly mean: Float32Array;
  readonly channelMean: readonly number[];
  /** 3 × 3, row after row. */
  readonly covariance: readonly number[];
  readonly axes: ColourAxes;
  /** How many images were looked at. */
  readonly images: number;
}

export interface Dataset {
  /** For people, e.g. the path. */
  readonly name: string;
  /** What `nameOf` begins with: the folder or archive that the images lie in; absent where their names don't say. */
  readonly root?: string;
  /** Class names in the order of their numbers. */
  readonly classes: readonly string[];
  /** The numbers, from 1, that the ImageNet challenge gives the classes, where its devkit came along. */
  readonly challengeIds?: readonly number[];
  /** How many images. */
  readonly length: number;
  /** Side in pixels where all images are squares of one size (CIFAR, the built-in set); else undefined. */
  readonly imageSize?: number;
  /** What was measured over all of its images, for records of one size. */
  readonly statistics?: Statistics;
  /** The class of image i. */
  label(i: number): number;
  /** Where image i comes from, for messages. */
  nameOf(i: number): string;
  /** The image. Rejects when it can't be read; what was read may still turn out not to be an image. */
  read(i: number): Promise<Encoded | Pixels>;
  /** Where image i lies on disk; absent where images are in memory. */
  place?(i: number): FileRange;
  /** Closes the files that it holds open. */
  close(): Promise<void>;
}

/** What image i is called within the set, wherever that lies. */
export function nameWithin(dataset: Dataset, i: number): string {
  const { root } = dataset;
  const name = dataset.nameOf(i);
  return root !== undefined && name.startsWith(`${root}/`) ? name.slice(root.length + 1) : name;
}

/** The images of `dataset` that `indices` names, in that order. It shares the files of the whole. */
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

/** The same images, with the classes in the order that `classes` gives: the same names. */
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
 * Splits off `share` of every class, chosen by `seed`; at least one image of a class that has two, and never all of
 * them. Both parts keep the order of the whole.
 */
export function holdOut(dataset: Dataset, share: number, seed: number): { train: Dataset; val: Dataset } {
  const byClass: number[][] = dataset.classes.map(() => []);
  for (let i = 0; i < dataset.length; i++) byClass[dataset.label(i)]!.push(i);
  const held = new Uint8Array(dataset.length);
  byClass.forEach((members, label) => {
    const count = Math.min(members.length - 1, Math.max(1, Math.round(members.length * share)));
    const order = new Random(seed, Purpose.split, label).permutation(members.length);
    for (let k = 0; k < count; k++) held[members[order[k]!]!] = 1;
  });
  const indices = Uint32Array.from({ length: dataset.length }, (_, i) => i);
  return {
    train: subset(
      dataset,
      indices.filter((i) => held[i] === 0),
    ),
    val: subset(
      dataset,
      indices.filter((i) => held[i] === 1),
      `${dataset.name} (held out)`,
    ),
  };
}
