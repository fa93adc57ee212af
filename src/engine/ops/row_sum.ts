/** Row sums, y[i] = Σ_j x[i, j]: the gradient of a bias that was added to every element of its row. */
import type { Backend } from "../backend.ts";
import { kernel, line } from "../kernel.ts";
import { poolOf } from "../pool.ts";
import type { Owner, Tensor } from "../tensor.ts";
import wgsl from "../../../kernels/wgsl/row_sum.wgsl" with { type: "text" };

/** Adds the row sums of dy to the gradient of bias b, which has one number per row. */
export function accumulateRowSums(tape: Owner, b: Tensor, dy: Tensor): void {
  const { backend } = dy;
  const [rows, columns] = [b.size, dy.size / b.size];
  tape.accumulate(b, (db) => {
    const cuts = chooseCuts(backend, rows, columns);
    if (cuts === 1) {
      backend.run(rowSum, { x: dy.buffer, y: db.buffer }, { rows, columns });
      return;
    }
    // In memory, each row is `cuts` shorter rows; their sums are a matrix of rows × cuts.
    const pool = poolOf(backend);
    const sums = pool.take("f32", rows * cuts);
    backend.run(rowSum, { x: dy.buffer, y: sums }, { rows: rows * cuts, columns: columns / cuts });
    backend.run(rowSum, { x: sums, y: db.buffer }, { rows, columns: cuts });
    pool.give(sums);
  });
}

/** With fewer columns, starting a cut takes longer than summing it. */
const MIN_COLUMNS = 4096;
/** A workgroup that sums is small: several are needed to hide the latency of memory. */
const WORKGROUPS_EACH = 4;

/**
 * The number of equal parts to cut rows into, so that a few long rows (conv1 has 96 of 387,200) keep the device busy.
 */
export function chooseCuts({ needsSplitting, parallelWorkgroups }: Backend, rows: number, columns: number): number {
  if (!needsSplitting) return 1;
  let best = 1;
  for (let cuts = 2; columns / cuts >= MIN_COLUMNS && rows * best < WORKGROUPS_EACH * parallelWorkgroups; cuts++) {
    if (columns % cuts === 0) best = cuts;
  }
  return best;
}

export const rowSum = kernel({
  name: "row_sum",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "write" },
  uniforms: { rows: "u32", columns: "u32" },
  // One workgroup per row.
  workgroups: ({ rows }) => line(rows, 1),
  reference({ x, y }, { rows, columns }) {
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += x[i * columns + j]!;
      y[i] = sum;
    }
  },
});
