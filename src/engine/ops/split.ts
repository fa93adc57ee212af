/**
 * Split-K: a matrix product with few results and many terms has too few tiles to keep a large GPU busy. Its terms are
 * cut into `splits` runs; the kernel writes that many arrays of partial sums, and a second kernel adds them, always in
 * the same order: y[i] = Σ_s parts[s, i].
 *
 * The kernel gets `splits` as a uniform; 1 means that it writes the result itself, as always on the cpu
 * (`needsSplitting`). The order of sums depends on `splits` alone.
 */
import { asView, type Backend, type Buffer, type BufferView } from "../backend.ts";
import { kernel, line } from "../kernel.ts";
import { poolOf } from "../pool.ts";
import wgsl from "../../../kernels/wgsl/sum_parts.wgsl" with { type: "text" };

/** Splits consist of whole slices of so many terms; the same number in the WGSL files. */
const SLICE = 16;

/** A split of fewer terms takes longer to begin and to add up than to compute. */
const LEAST_TERMS = 256;

/**
 * A split never has more terms than this: Mesa's software driver ends a thread, without a word, after 65,535 rounds of all
 * its loops together, and some 17 of them take 16 terms.
 */
const MOST_TERMS = 32_768;

/** Side of the square tiles in which workgroups are counted: that of the largest variants. */
const TILE = 128;

/** How many terms each split has; the last may have fewer, or none. */
export function termsPerSplit(terms: number, splits: number): number {
  return Math.ceil(terms / (SLICE * splits)) * SLICE;
}

/**
 * How many splits suit `groups` products of `rows` × `columns` results with so many terms each. All workgroups take
 * equally long, so the time goes with the rounds of them that the device has to run, and with the terms of each: s
 * splits take ⌈workgroups · s / parallelWorkgroups⌉ / s.
 */
export function chooseSplits(
  { needsSplitting, parallelWorkgroups, limits }: Backend,
  rows: number,
  columns: number,
  groups: number,
  terms: number,
): number {
  if (!needsSplitting) return 1;
  const tiles = Math.ceil(rows / TILE) * Math.ceil(columns / TILE) * groups;
  const bindable = Math.max(1, Math.floor(limits.bindingBytes / (4 * rows * columns * groups)));
  const least = Math.min(bindable, Math.ceil(terms / MOST_TERMS));
  const most = Math.min(bindable, Math.floor(terms / LEAST_TERMS), Math.ceil((4 * parallelWorkgroups) / tiles));
  const time = (splits: number) => Math.ceil((tiles * splits) / parallelWorkgroups) / splits;
  let best = least;
  // More partial sums cost something: they must gain a twentieth.
  for (let splits = least + 1; splits <= most; splits++) if (time(splits) < 0.95 * time(best)) best = splits;
  return best;
}

/**
 * Runs a kernel in `splits` parts. `run` queues it, writing to what it is given: the result itself, or memory for as
 * many arrays of its size, which are then added up.
 *
 * @param accumulate 1: the sum is added to what the result holds. `run` is told if the kernel has to do that itself
 */
export function runSplit(
  backend: Backend,
  splits: number,
  result: Buffer | BufferView,
  run: (into: Buffer | BufferView, accumulate: 0 | 1) => void,
  accumulate: 0 | 1 = 0,
): void {
  if (splits === 1) {
    run(result, accumulate);
    return;
  }
  const { length } = asView(result);
  const pool = poolOf(backend);
  const parts = pool.take("f32", splits * length);
  run(parts, 0);
  backend.run(sumParts, { parts, y: result }, { size: length, count: splits, accumulate });
  // Whoever takes it next writes to it after this sum.
  pool.give(parts);
}

export const sumParts = kernel({
  name: "sum_parts",
  module: import.meta.url,
  wgsl,
  // accumulate: 1 adds to y; 0 overwrites it.
  buffers: { parts: "read", y: "update" },
  uniforms: { size: "u32", count: "u32", accumulate: "u32" },
  workgroups: ({ size }) => line(size),
  reference({ parts, y }, { size, count, accumulate }) {
    for (let i = 0; i < size; i++) {
      let sum = accumulate ? y[i]! : 0;
      for (let s = 0; s < count; s++) sum += parts[s * size + i]!;
      y[i] = sum;
    }
  },
});
