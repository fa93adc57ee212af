import { beforeAll, test } from "bun:test";
import { Tape } from "../../src/autograd/tape.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { rowSum } from "../../src/ops/row_sum.ts";
import { describeBackends } from "../helpers/backends.ts";
import { expectClose, randomArray } from "../helpers/data.ts";

describeBackends("rowSum", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  const sizes = [
    [1, 1],
    [3, 7],
    [5, 64],
    [2, 65],
    [7, 1021],
    [1, 100_003],
    // One row more than there are workgroups in a dimension.
    [65_536, 3],
  ] as const;
  for (const [rows, columns] of sizes) {
    test(`${rows} × ${columns}`, async () => {
      const x = randomArray([rows, columns], 1);
      const expected = Float64Array.from({ length: rows }, (_, i) =>
        x.subarray(i * columns, (i + 1) * columns).reduce((sum, v) => sum + v, 0),
      );
      const tape = new Tape(backend);
      const y = tape.allocate([rows]);
      backend.run(rowSum, { x: tape.input([rows, columns], x).buffer, y: y.buffer }, { rows, columns });
      // Rounding of partial sums that wander as far as √columns, beside a sum that may be smaller: hence with columns.
      expectClose("y", await y.read(), expected, 1e-6 + 1e-9 * columns);
      tape.release();
    });
  }
});
