/**
 * Filters that whiten the patches of their input, as in airbench (arXiv 2404.00498, §3.2): each is an eigenvector of the
 * patches' second moments, divided by the root of its eigenvalue + ε, those of the largest first; the second half of the
 * filters are the negatives of the first.
 */
import { centreView } from "../../data/augmentation.ts";
import { createLoader } from "../../data/loader.ts";
import { principalAxes } from "../../data/moments.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { ShapeError, UsageError } from "../../errors.ts";
import { leaves, titleOf, type Model } from "../../net/model.ts";
import { networkInput } from "../../net/passes.ts";
import type { Records } from "../session.ts";

/** Of 32 × 32 pixels, they have 64,000 patches of 4 × 4: more don't change the filters. */
const IMAGES = 1000;
const BATCH = 200;
/** For inputs of about unit variance. */
const EPSILON = 5e-4;

/**
 * Sets the filters of all layers that whiten, the earlier ones first.
 * @param mean the mean image on the device
 * @throws ShapeError when a layer has more filters than directions, or an odd number; UsageError when it is in a block
 */
export async function whiten(model: Model, mean: Tensor, { dataset, cache }: Records): Promise<void> {
  const { record, resize, crop } = model.network;
  for (const [i, { whitens, name, shape }] of model.specs.entries()) {
    if (!whitens) continue;
    const [filters = 0, maps = 0, window = 0] = shape;
    const placed = leaves(model.layers).find(({ parameters }) => parameters.some((spec) => spec.name === name))!;
    const [layer, values] = [model.layers.indexOf(placed), maps * window * window];
    if (layer < 0)
      throw new UsageError(`${titleOf(placed.layer)} is in a block: only a layer outside of one can whiten`);
    if (filters % 2 !== 0 || filters > 2 * values) {
      throw new ShapeError(
        `${titleOf(placed.layer)} has ${filters} filters: to whiten, it must have an even number of them, at most ` +
          `${2 * values}: two for each of the ${values} numbers of a patch`,
      );
    }
    const moments = new Moments(maps, window);
    const step = Math.max(1, Math.floor(dataset.length / IMAGES));
    const samples = Uint32Array.from({ length: Math.min(IMAGES, dataset.length) }, (_, k) => k * step);
    const loader = createLoader(dataset, {
      ...{ batch: Math.min(BATCH, samples.length), recordSize: record, resize, samples, cache },
    });
    for await (const { pixels, indices, valid } of loader) {
      const tape = new Tape(mean.backend, { record: false });
      const x = networkInput(tape, model, mean, { pixels, views: centreView(indices.length, record, crop) });
      const input = model.outputs(x, undefined, layer).at(-1) ?? x;
      moments.add(await input.read(), input.shape, valid);
      tape.release();
    }
    model.parameters[i]!.backend.write(model.parameters[i]!.buffer, moments.filters(filters));
  }
}

/** The second moments of an input's patches, all maps of window × window positions side by side. */
class Moments {
  readonly #sums: Float64Array;
  readonly #maps: number;
  readonly #window: number;
  #patches = 0;

  constructor(maps: number, window: number) {
    [this.#maps, this.#window] = [maps, window];
    this.#sums = new Float64Array((maps * window * window) ** 2);
  }

  /** Adds the patches that lie inside the first `valid` images. @param x C × H × W × N */
  add(x: Float32Array, [, height = 0, width = 0, images = 0]: readonly number[], valid: number): void {
    const [window, values] = [this.#window, this.#maps * this.#window ** 2];
    const [rows, columns] = [Math.floor(height / window), Math.floor(width / window)];
    /** Where the k-th number of the first patch is, in the order of a filter's weights. */
    const starts = Array.from({ length: values }, (_, k) => {
      const [map, row, column] = [Math.floor(k / window ** 2), Math.floor(k / window) % window, k % window];
      return ((map * height + row) * width + column) * images;
    });
    for (let p = 0; p < values; p++) {
      for (let q = p; q < values; q++) this.#sums[p * values + q]! += product(starts[p]!, starts[q]!);
    }
    this.#patches += rows * columns * valid;

    function product(p: number, q: number): number {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const from = (row * width + column) * window * images;
          for (let n = from; n < from + valid; n++) sum += x[p + n]! * x[q + n]!;
        }
      }
      return sum;
    }
  }

  /** The weights of `count` filters. */
  filters(count: number): Float32Array {
    const values = Math.sqrt(this.#sums.length);
    const matrix = Array.from(this.#sums, (_, i) => {
      const [p, q] = [Math.floor(i / values), i % values];
      return this.#sums[Math.min(p, q) * values + Math.max(p, q)]! / this.#patches;
    });
    const { values: variances, vectors } = principalAxes(matrix);
    const half = Array.from({ length: count / 2 }, (_, k) =>
      vectors[k]!.map((value) => value / Math.sqrt(variances[k]! + EPSILON)),
    ).flat();
    return Float32Array.from([...half, ...half.map((value) => -value)]);
  }
}
