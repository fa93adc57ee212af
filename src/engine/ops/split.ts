/**
 * Split-K: a matrix product with few results and many terms has too few tiles to keep a large GPU busy. The terms are
 * cut into `splits` runs; the kernel writes one array of partial sums for each, and a second kernel adds these up,
 * always in the same order: y[i] = Σ_s parts[s, i].
 *
 * `splits` is a uniform of the kernel; with 1 it writes the result itself, as always on the cpu (`needsSplitting`). The
 * order of summation depends on `splits` alone.
 */
import { asView, type Backend, type Buffer, type BufferView } from "../backend.ts";
import { fourEach, kernel, line } from "../kernel.ts";
import { poolOf } from "../pool.ts";
import wgsl from "../../../kernels/wgsl/sum_parts.wgsl" with { type: "text" };

/** Splits consist of whole slices of this many terms, as in the WGSL. */
const SLICE = 16;

/** With fewer terms, a split takes longer to start and add up than to compute. */
const MIN_TERMS = 256;

/**
 * Mesa's software driver silently ends a thread after 65,535 iterations of all its loops together; 16 terms take about
 * 17.
 */
const MAX_TERMS = 32_768;

/** Side of the square tiles by which workgroups are counted: that of the largest variants. */
const TILE = 128;

/** Number of terms in each split; the last may have fewer, or none. */
export function termsPerSplit(terms: number, splits: number): number {
  return Math.ceil(terms / (SLICE * splits)) * SLICE;
}

/**
 * The best number of splits for `groups` products of `rows` × `columns` results with `terms` terms each. All workgroups
 * take equally long, so the time is the number of rounds the device needs to run them, times the terms of each: for s
 * splits, it is proportional to ⌈workgroups · s / parallelWorkgroups⌉ / s.
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
  const least = Math.min(bindable, Math.ceil(terms / MAX_TERMS));
  const most = Math.min(bindable, Math.floor(terms / MIN_TERMS), Math.ceil((4 * parallelWorkgroups) / tiles));
  const time = (splits: number) => Math.ceil((tiles * splits) / parallelWorkgroups) / splits;
  let best = least;
  // More partial sums have a cost: they must save a twentieth.
  for (let splits = least + 1; splits <= most; splits++) if (time(splits) < 0.95 * time(best)) best = splits;
  return best;
}

/**
 * Runs a kernel in `splits` parts. `run` queues it with the buffer to write to: the result itself, or memory for
 * `splits` arrays of its size, which are then added up.
 *
 * @param accumulate 1 adds to what the result holds; `run` is told when the kernel itself must do that
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
  // Safe while the sum is still queued: whatever uses the buffer next is queued after it.
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
  variants: [fourEach("sum_parts", wgsl)],
  reference({ parts, y }, { size, count, accumulate }) {
    for (let i = 0; i < size; i++) {
      let sum = accumulate ? y[i]! : 0;
      for (let s = 0; s < count; s++) sum += parts[s * size + i]!;
      y[i] = sum;
    }
  },
});
