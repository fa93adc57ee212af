/** Test cases of row sums. */
import { cases, SUM } from "../cases.ts";
import { rowSum } from "./row_sum.ts";

export const rowSumCases = cases(({ add, random }) => {
  for (const [rows, columns] of [
    [65_537, 2],
    [1, 1],
    [3, 2],
    [7, 255],
    [2, 256],
    [5, 257],
    [3, 70_001],
  ] as const) {
    add(rowSum, SUM, { rows, columns }, { x: random(rows * columns), y: rows });
  }
});
