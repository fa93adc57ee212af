import { expect, test } from "bun:test";
import { lrn, type LrnOptions } from "../../../src/engine/ops/lrn.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { expectClose } from "../../support/data.ts";
import { testOp, type OpCase } from "../../support/gradcheck.ts";

/** α large enough that the sums count beside k with inputs in ±1. */
const OPTIONS = { n: 5, k: 2, alpha: 0.5, beta: 0.75 };

function lrnCase(title: string, x: readonly number[], options: Partial<LrnOptions> = {}): OpCase {
  return { title, inputs: { x }, op: ({ x }) => lrn(x!, { ...OPTIONS, ...options }) };
}

const cases = [
  lrnCase("n 5", [7, 2, 3, 3]),
  lrnCase("two groups", [10, 2, 1, 3], { groups: 2 }),
  lrnCase("fewer maps than n", [3, 2, 2, 1]),
  lrnCase("one map", [1, 3, 3, 2]),
  lrnCase("n 1, beta 1", [4, 2, 2, 1], { n: 1, beta: 1 }),
  lrnCase("the paper's numbers", [96, 1, 3, 1], { alpha: 1e-4 }),
  lrnCase("more pixels than a workgroup", [6, 11, 7, 1]),
];

// pow() is exp2(y · log2 x) on a GPU: about 1e-6.
testOp("lrn", cases, 4e-6);

test("lrn of ones: (k + αm)^−β, where m is the number of neighbours inside the group", async () => {
  const tape = new Tape(openReference("f64"));
  const x = tape.input([6, 1, 1, 1], new Float32Array(6).fill(1));
  const neighbours = { 1: [3, 4, 5, 5, 4, 3], 2: [3, 3, 3, 3, 3, 3] };
  for (const groups of [1, 2] as const) {
    const y = await lrn(x, { ...OPTIONS, groups }).read();
    expectClose(
      "y",
      y,
      neighbours[groups].map((m) => (2 + 0.5 * m) ** -0.75),
      1e-12,
    );
  }
});

test("lrn refuses maps that don't divide into the groups, and an even n", () => {
  const x = new Tape(openReference()).input([5, 1, 1, 2], new Float32Array(10));
  expect(() => lrn(x, { ...OPTIONS, groups: 2 })).toThrow("5 × 1 × 1 × 2, 2 groups");
  expect(() => lrn(x, { ...OPTIONS, n: 4 })).toThrow("n 4");
});
