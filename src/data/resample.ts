/**
 * The weights of Pillow's bilinear resampling, which widens the filter when reducing an image, so that every pixel
 * counts ("antialiasing"). kernels/wasm/resize.ts applies them. Pillow 13, src/libImaging/Resample.c:
 * https://github.com/python-pillow/Pillow/blob/13.0.0/src/libImaging/Resample.c
 */

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
export function bilinearWeights(size: number, newSize: number, start: number, count: number): ResampleWeights {
  const scale = size / newSize;
  const support = Math.max(1, scale);
  const taps = Math.ceil(support) * 2 + 1;
  const table = new Int32Array(count * (taps + 2));
  let [from, to] = [size, 0];
  for (let i = 0; i < count; i++) {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((k + first - centre + 0.5) * (1 / support))),
    );
    const sum = raw.reduce((total, weight) => total + weight, 0);
    const entry = i * (taps + 2);
    table.set([first, end - first], entry);
    raw.forEach((weight, k) => (table[entry + 2 + k] = Math.trunc(0.5 + (sum === 0 ? 0 : weight / sum) * 2 ** BITS)));
    [from, to] = [Math.min(from, first), Math.max(to, end)];
  }
  return { taps, table, from, to };
}
