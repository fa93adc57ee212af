import { beforeAll, expect, test } from "bun:test";
import type { Backend } from "../../../src/engine/backend.ts";
import { accumulateRowSums, chooseCuts, rowSum } from "../../../src/engine/ops/row_sum.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { describeBackends } from "../../support/backends.ts";
import { expectClose, randomArray } from "../../support/data.ts";

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

  test("long rows in several parts", async () => {
    const wide: Backend = { ...backend, needsSplitting: true, parallelWorkgroups: 4 };
    const tape = new Tape(wide);
    const x = randomArray([3, 5 * 4096], 1);
    const dy = tape.input([3, 5 * 4096], x);
    const b = tape.input([3], new Float32Array(3), { requiresGrad: true });
    const rows: number[] = [];
    wide.run = (kernel, buffers, uniforms) => {
      rows.push((uniforms as { rows: number }).rows);
      backend.run(kernel, buffers, uniforms);
    };
    accumulateRowSums(tape, b, dy);
    expect(rows).toEqual([15, 3]);
    const expected = [0, 1, 2].map((i) => x.slice(i * 5 * 4096, (i + 1) * 5 * 4096).reduce((sum, v) => sum + v, 0));
    expectClose("db", await b.grad!.read(), expected, 1e-5);
    tape.release();
  });
});

test("rows are cut into equal parts, as many as keep the device busy", () => {
  const cuts = (parallelWorkgroups: number, rows: number, columns: number) =>
    chooseCuts({ ...openReference(), needsSplitting: true, parallelWorkgroups }, rows, columns);
  expect(chooseCuts(openReference(), 96, 387_200)).toBe(1);
  expect(cuts(264, 96, 387_200)).toBe(11);
  // No fewer than 4,096 columns each; a prime number of columns can't be cut.
  expect(cuts(264, 96, 8192)).toBe(2);
  expect(cuts(264, 96, 8191)).toBe(1);
  expect(cuts(264, 1, 99_991)).toBe(1);
});
