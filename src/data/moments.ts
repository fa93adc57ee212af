/** The mean image of a training set (paper §2) and its principal colour axes (§4.1), from sums over its records. */
import type { ColourAxes, Statistics } from "./dataset.ts";

/** Exact integer sums over records, independent of order and of the number of threads. */
export interface Sums {
  readonly images: number;
  /** The sum at every position of a record, S × S × 3. 32 bits suffice for 16 million images. */
  readonly places: Uint32Array;
  /** Over all pixels: rr, gg, bb, rg, gb, br. */
  readonly products: readonly bigint[];
}

/** The total of several sums, beyond 32 bits. */
export class TotalSums {
  readonly #places: Float64Array;
  readonly #products = new Array<bigint>(6).fill(0n);
  #images = 0;

  constructor(side: number) {
    this.#places = new Float64Array(side * side * 3);
  }

  add({ images, places, products }: Sums): void {
    for (let i = 0; i < places.length; i++) this.#places[i]! += places[i]!;
    products.forEach((value, k) => (this.#products[k]! += value));
    this.#images += images;
  }

  statistics(): Statistics {
    return summarise(this.#places, this.#products.map(Number), this.#images);
  }
}

function summarise(places: Float64Array, products: readonly number[], images: number): Statistics {
  const channelMean = [0, 0, 0];
  for (let i = 0; i < places.length; i++) channelMean[i % 3]! += places[i]!;
  const pixels = (images * places.length) / 3;
  for (let c = 0; c < 3; c++) channelMean[c]! /= pixels;
  const [rr, gg, bb, rg, gb, br] = products as Six;
  const covariance = [rr, rg, br, rg, gg, gb, br, gb, bb].map(
    (product, k) => product / pixels - channelMean[Math.floor(k / 3)]! * channelMean[k % 3]!,
  );
  return {
    mean: Float32Array.from(places, (sum) => sum / images),
    channelMean,
    covariance,
    axes: principalAxes(covariance),
    images,
  };
}

type Six = [number, number, number, number, number, number];

/** Eigenvalues and eigenvectors of a symmetric matrix, in rows, by Jacobi rotations; largest first. */
export function principalAxes(matrix: readonly number[]): ColourAxes {
  const size = Math.sqrt(matrix.length);
  const indices = Array.from({ length: size }, (_, i) => i);
  const a = indices.map((i) => matrix.slice(i * size, (i + 1) * size));
  const v = indices.map((i) => indices.map((j) => (i === j ? 1 : 0)));
  const pairs = indices.flatMap((p) => indices.slice(p + 1).map((q) => [p, q] as const));
  // Convergence is quadratic: after ten sweeps the off-diagonal is zero.
  for (let sweep = 0; sweep < 10; sweep++) {
    for (const [p, q] of pairs) {
      if (a[p]![q] === 0) continue;
      const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
      const c = 1 / Math.sqrt(t * t + 1);
      const s = t * c;
      for (const row of [...a, ...v]) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
      for (let k = 0; k < size; k++)
        [a[p]![k], a[q]![k]] = [c * a[p]![k]! - s * a[q]![k]!, s * a[p]![k]! + c * a[q]![k]!];
    }
  }
  const order = indices.sort((i, j) => a[j]![j]! - a[i]![i]!);
  return {
    // Rounding may leave a tiny negative value where there is no variance.
    values: order.map((k) => Math.max(0, a[k]![k]!)),
    vectors: order.map((k) => v.map((row) => row[k]!)),
  };
}
