/**
 * The weights of Pillow's resampling, which widens the filter when reducing an image, so that every pixel counts
 * ("antialiasing"). kernels/wasm/resize.ts applies them. Pillow 13, src/libImaging/Resample.c:
 * https://github.com/python-pillow/Pillow/blob/13.0.0/src/libImaging/Resample.c
 */
import type { ResizeFilter } from "../net/recipe.ts";

interface Filter {
  /** It is zero from this distance on, in pixels of the smaller image. */
  readonly support: number;
  at(distance: number): number;
}

/** Keys' cubic convolution takes this for its parameter a. */
const A = -0.5;

const FILTERS: Readonly<Record<ResizeFilter, Filter>> = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    at(x) {
      const d = Math.abs(x);
      if (d < 1) return ((A + 2) * d - (A + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * A : 0;
    },
  },
};

/** Weights are fixed-point numbers with this many fractional bits. */
const BITS = 22;

export interface ResampleWeights {
  /** Maximum number of inputs per output. */
  readonly taps: number;
  /** For each output the first input, the number of inputs, and their weights: 2 + taps integers. */
  readonly table: Int32Array;
  /** The range of inputs used, end exclusive. */
  readonly from: number;
  readonly to: number;
}

/** Weights for outputs `start` to `start + count` − 1 when rescaling `size` inputs to `newSize`. */
export function resampleWeights(
  filter: ResizeFilter,
  size: number,
  newSize: number,
  start: number,
  count: number,
): ResampleWeights {
  const { at, support: reach } = FILTERS[filter];
  const scale = size / newSize;
  const widening = Math.max(1, scale);
  const support = reach * widening;
  const taps = Math.ceil(support) * 2 + 1;
  const table = new Int32Array(count * (taps + 2));
  let [from, to] = [size, 0];
  for (let i = 0; i < count; i++) {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) => at((k + first - centre + 0.5) * (1 / widening)));
    const sum = raw.reduce((total, weight) => total + weight, 0);
    const entry = i * (taps + 2);
    table.set([first, end - first], entry);
    for (const [k, weight] of raw.entries()) {
      const share = sum === 0 ? 0 : weight / sum;
      table[entry + 2 + k] = Math.trunc((share < 0 ? -0.5 : 0.5) + share * 2 ** BITS);
    }
    [from, to] = [Math.min(from, first), Math.max(to, end)];
  }
  return { taps, table, from, to };
}
