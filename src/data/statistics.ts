/** What is measured once over a training set: the mean image (paper §2) and the axes of its colours (§4.1). */
import { Purpose, Random } from "../random.ts";
import { DataError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { createLoader, type RecordCache } from "./loader.ts";

/** Means don't get better by more images than this; of larger sets a sample is taken. */
export const MAX_SAMPLE = 50_000;

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

export interface MeasureOptions {
  readonly recordSize: number;
  readonly seed?: number;
  /** Keeps the decoded records for the training that follows. */
  readonly cache?: RecordCache;
  readonly sample?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** @throws DataError when no image, or too few, can be decoded. */
export async function measureStatistics(dataset: Dataset, options: MeasureOptions): Promise<Statistics> {
  const { recordSize, seed = 0, cache, sample = MAX_SAMPLE, onProgress } = options;
  const count = Math.min(dataset.length, sample);
  const order = new Random(seed, Purpose.split, dataset.classes.length).permutation(dataset.length);
  const subset = count < dataset.length ? order.subarray(0, count).sort() : undefined;
  // Integer sums are exact: 50,000 images of 255 stay far below 2³².
  const sums = new Uint32Array(recordSize * recordSize * 3);
  const products = new Float64Array(6);
  const loader = createLoader(dataset, {
    batch: Math.min(64, count),
    recordSize,
    ...(subset && { samples: subset }),
    ...(cache && { cache }),
  });
  let images = 0;
  for await (const { pixels, valid } of loader) {
    for (let n = 0; n < valid; n++) addRecord(pixels.subarray(n * sums.length, (n + 1) * sums.length), sums, products);
    images += valid;
    onProgress?.(images, count);
  }
  if (images === 0) throw new DataError(`${dataset.name}: none of its ${dataset.length} images can be used`);
  return summarise(sums, products, images);
}

function addRecord(record: Uint8Array, sums: Uint32Array, products: Float64Array): void {
  let [rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < record.length; i += 3) {
    const r = record[i]!;
    const g = record[i + 1]!;
    const b = record[i + 2]!;
    sums[i]! += r;
    sums[i + 1]! += g;
    sums[i + 2]! += b;
    rr += r * r;
    rg += r * g;
    rb += r * b;
    gg += g * g;
    gb += g * b;
    bb += b * b;
  }
  [rr, rg, rb, gg, gb, bb].forEach((value, k) => (products[k]! += value));
}

function summarise(sums: Uint32Array, products: Float64Array, images: number): Statistics {
  const channelMean = [0, 0, 0];
  for (let i = 0; i < sums.length; i++) channelMean[i % 3]! += sums[i]!;
  const pixels = (images * sums.length) / 3;
  for (let c = 0; c < 3; c++) channelMean[c]! /= pixels;
  const [rr, rg, rb, gg, gb, bb] = products as unknown as [number, number, number, number, number, number];
  const covariance = [rr, rg, rb, rg, gg, gb, rb, gb, bb].map(
    (product, k) => product / pixels - channelMean[Math.floor(k / 3)]! * channelMean[k % 3]!,
  );
  return {
    mean: Float32Array.from(sums, (sum) => sum / images),
    channelMean,
    covariance,
    axes: principalAxes(covariance),
    images,
  };
}

/** Eigenvalues and eigenvectors of a symmetric 3 × 3 matrix by Jacobi's rotations, the largest first. */
export function principalAxes(matrix: readonly number[]): ColourAxes {
  const a = [matrix.slice(0, 3), matrix.slice(3, 6), matrix.slice(6, 9)];
  const v = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  // Convergence is quadratic: after ten sweeps nothing is left off the diagonal.
  for (let sweep = 0; sweep < 10; sweep++) {
    for (const [p, q] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      if (a[p]![q] === 0) continue;
      const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
      const c = 1 / Math.sqrt(t * t + 1);
      const s = t * c;
      for (const row of [...a, ...v]) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
      for (let k = 0; k < 3; k++) [a[p]![k], a[q]![k]] = [c * a[p]![k]! - s * a[q]![k]!, s * a[p]![k]! + c * a[q]![k]!];
    }
  }
  const order = [0, 1, 2].sort((i, j) => a[j]![j]! - a[i]![i]!);
  return {
    // Rounding may leave a tiny negative value where there is no spread at all.
    values: order.map((k) => Math.max(0, a[k]![k]!)),
    vectors: order.map((k) => v.map((row) => row[k]!)),
  };
}
