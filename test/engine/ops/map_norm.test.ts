import { expect, test } from "bun:test";
import { mapNorm, type MapNormOptions } from "../../../src/engine/ops/map_norm.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { expectClose } from "../../support/data.ts";
import { testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

/** α large enough that the sums count beside k with inputs in ±1. */
const OPTIONS = { size: 3, k: 1, alpha: 0.3, beta: 0.75 };

function normCase(title: string, x: readonly number[], options: Partial<MapNormOptions> = {}): OpCase {
  return { title, inputs: { x }, op: ({ x }) => mapNorm(x!, { ...OPTIONS, ...options }) };
}

const cases = [
  normCase("3 × 3", [2, 4, 5, 3]),
  normCase("5 × 5", [2, 7, 6, 1], { size: 5 }),
  normCase("window larger than the map", [3, 2, 3, 2], { size: 7 }),
  normCase("one pixel", [2, 1, 1, 3]),
  normCase("1 × 1, beta 0.5", [2, 3, 3, 2], { size: 1, beta: 0.5 }),
];

// pow() is exp2(y · log2 x) on a GPU: about 1e-6.
testOp("mapNorm", cases, 4e-6);
testOnBackends("mapNorm", [normCase("a larger map", [3, 13, 11, 17], { size: 5 })], 4e-6);

test("mapNorm of ones: (k + αm)^−β, where m is the number of pixels of the window inside the map", async () => {
  const tape = new Tape(openReference("f64"));
  const y = await mapNorm(tape.input([1, 3, 4, 1], new Float32Array(12).fill(1)), OPTIONS).read();
  const pixels = [4, 6, 6, 4, 6, 9, 9, 6, 4, 6, 6, 4];
  expectClose("y", y, pixels.map((m) => (1 + 0.3 * m) ** -0.75), 1e-12); // prettier-ignore
});

test("mapNorm refuses an even window, and what are not maps", () => {
  const tape = new Tape(openReference());
  expect(() => mapNorm(tape.input([1, 2, 2, 1], new Float32Array(4)), { ...OPTIONS, size: 4 })).toThrow("window of 4");
  expect(() => mapNorm(tape.input([4, 1], new Float32Array(4)), OPTIONS)).toThrow("4 × 1, must be C × H × W × N");
});
