/** Sampling: which images an epoch sees, and in what order. */
import { DataError } from "../errors.ts";
import { option } from "../option_names.ts";
import { Purpose, Random } from "../random.ts";
import { subset, type Dataset } from "./dataset.ts";

export interface Shuffle {
  readonly seed: number;
  readonly epoch: number;
  /**
   * Relative sampling weight of each class's images; without it, every image is seen once. The length of an epoch is the
   * same either way.
   */
  readonly weights?: readonly number[];
  /** An epoch has so many images, those that were not seen yet first; all if not given. */
  readonly images?: number;
}

/** What decides an order: the number of classes, and that of each image. */
type Labelled = Pick<Dataset, "label"> & { readonly classes: ArrayLike<unknown> };

/**
 * The order of an epoch. A class with weight w and n images gets w · n / Σ w · n of the epoch; within a class, no image is
 * seen more than once more often than another.
 * @param samples the images to choose from, as indices in the data set
 */
export function epochOrder(dataset: Labelled, samples: Uint32Array, shuffle: Shuffle): Uint32Array {
  const { seed, epoch, weights, images = samples.length } = shuffle;
  if (images < samples.length) return shortEpoch(dataset, samples, { ...shuffle, images });
  const chosen = weights ? weighted(dataset, samples, weights, seed, epoch) : samples;
  return new Random(seed, Purpose.shuffle, epoch).permutation(chosen.length).map((k) => chosen[k]!);
}

/** A window of the whole orders, one after the other, that moves on by its length from epoch to epoch. */
function shortEpoch(
  dataset: Labelled,
  samples: Uint32Array,
  { images, epoch, ...whole }: Shuffle & { readonly images: number },
): Uint32Array {
  const window = new Uint32Array(images);
  let order = samples;
  for (let n = 0; n < images; n++) {
    const at = epoch * images + n;
    const k = at % samples.length;
    if (n === 0 || k === 0) {
      order = epochOrder(dataset, samples, { ...whole, epoch: Math.floor(at / samples.length) });
    }
    window[n] = order[k]!;
  }
  return window;
}

function weighted(
  dataset: Labelled,
  samples: Uint32Array,
  weights: readonly number[],
  seed: number,
  epoch: number,
): Uint32Array {
  const members: number[][] = Array.from(dataset.classes, () => []);
  for (const i of samples) members[dataset.label(i)]!.push(i);
  const shares = members.map(({ length }, label) => length * weights[label]!);
  const chosen = new Uint32Array(samples.length);
  let at = 0;
  quotas(shares, samples.length).forEach((quota, label) => {
    const own = members[label]!;
    // + 1, because stream 0 is the epoch's own order.
    const random = new Random(seed, Purpose.shuffle, epoch, label + 1);
    for (let left = quota; left > 0; left -= own.length) {
      for (const k of random.permutation(own.length).subarray(0, left)) chosen[at++] = own[k]!;
    }
  });
  return chosen;
}

/** Integers proportional to `shares` that add up to `total` (largest remainder method). */
function quotas(shares: readonly number[], total: number): number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  const exact = shares.map((share) => (share / sum) * total);
  const whole = exact.map(Math.floor);
  const remainders = exact.map((value, k) => ({ k, remainder: value - whole[k]! }));
  remainders.sort((a, b) => b.remainder - a.remainder || a.k - b.k);
  const missing = total - whole.reduce((a, b) => a + b, 0);
  for (const { k } of remainders.slice(0, missing)) whole[k]!++;
  return whole;
}

/**
 * Weights that balance classes: a class of n images is seen in proportion to n^(1 − balance), so 1 makes all classes
 * equally frequent and 0 changes nothing.
 */
export function balancedWeights(dataset: Dataset, balance: number): number[] {
  return Array.from(classCounts(dataset), (n) => (n === 0 ? 0 : n ** -balance));
}

/** Number of images of each class. */
export function classCounts(dataset: Pick<Dataset, "length" | "classes" | "label">): Float64Array {
  const counts = new Float64Array(dataset.classes.length);
  for (let i = 0; i < dataset.length; i++) counts[dataset.label(i)]!++;
  return counts;
}

/**
 * Weights by class name; 1 for classes not named.
 * @param key name of the option that they were given by
 * @throws DataError for an unknown class, or when no image is left
 */
export function namedWeights(
  dataset: Dataset,
  weights: Readonly<Record<string, number>>,
  key: "weights" | "lossWeights",
): number[] {
  const { name, classes, length } = dataset;
  const byName = new Map(Object.entries(weights).map(([key, weight]) => [key.normalize(), weight]));
  const unknown = [...byName.keys()].find((key) => !classes.includes(key));
  if (unknown !== undefined) throw new DataError(`${option(key)} names "${unknown}", which is not a class of ${name}`);
  const found = classes.map((key) => byName.get(key) ?? 1);
  // A class may have no images, in the set or after --limit.
  const isSeen = Array.from({ length }, (_, i) => found[dataset.label(i)]! > 0).includes(true);
  if (!isSeen) throw new DataError(`${option(key)} leaves no image of ${name}: all classes with images have weight 0`);
  return found;
}

/** A random subset, chosen by `seed`: `fraction` of each class but at least one image, and at most `limit` in all. */
export function reduce(dataset: Dataset, fraction: number, limit: number, seed: number): Dataset {
  const chosen = choose(dataset, fraction, limit, seed);
  return chosen ? subset(dataset, chosen) : dataset;
}

/** Which images `reduce` takes, ascending; undefined for all. */
export function choose(
  dataset: Pick<Dataset, "length" | "classes" | "label">,
  fraction: number,
  limit: number,
  seed: number,
): Uint32Array | undefined {
  if (fraction === 1 && limit >= dataset.length) return undefined;
  const order = new Random(seed, Purpose.split, 0, 1).permutation(dataset.length);
  const left = classCounts(dataset);
  for (const [label, count] of left.entries())
    left[label] = count === 0 ? 0 : Math.max(1, Math.round(count * fraction));
  const chosen = order.filter((i) => left[dataset.label(i)]!-- > 0).subarray(0, limit);
  return chosen.sort();
}
