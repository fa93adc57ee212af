/** Sums of rows, y[i] = Σ_j x[i, j]: the gradient of a bias that was added to every element of its row. */
import type { Tape } from "../autograd/tape.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { kernel, line } from "../backends/kernel.ts";
import wgsl from "../../kernels/wgsl/row_sum.wgsl" with { type: "text" };

/** Adds to the gradient of bias b (one number a row) the sums of the rows of dy. */
export function accumulateRowSums(tape: Tape, b: Tensor, dy: Tensor): void {
  const uniforms = { rows: b.size, columns: dy.size / b.size };
  tape.accumulate(b, (db) => dy.backend.run(rowSum, { x: dy.buffer, y: db.buffer }, uniforms));
}

export const rowSum = kernel({
  name: "row_sum",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "write" },
  uniforms: { rows: "u32", columns: "u32" },
  // One workgroup a row.
  workgroups: ({ rows }) => line(rows, 1),
  reference({ x, y }, { rows, columns }) {
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += x[i * columns + j]!;
      y[i] = sum;
    }
  },
});
