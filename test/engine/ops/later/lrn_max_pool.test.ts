/** Normalisation across maps and max-pooling in one op: the same as the two, however it is computed. */
import { expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { conv2d } from "../../../../src/engine/ops/conv2d.ts";
import { lrnMaxPool } from "../../../../src/engine/ops/later/lrn_max_pool.ts";
import { lrn } from "../../../../src/engine/ops/lrn.ts";
import { maxPool } from "../../../../src/engine/ops/pool.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { ShapeError } from "../../../../src/errors.ts";
import { describeBackends } from "../../../support/backends.ts";
import { expectClose, randomArray } from "../../../support/data.ts";
import { drawInputs, forwardAndBackward, type OpCase } from "../../../support/gradcheck.ts";
import { watched } from "../../../support/watched.ts";

const LRN = { n: 5, k: 2, alpha: 0.3, beta: 0.75, groups: 2 };
const POOL = { window: 3, stride: 2 };

const inputs = { x: [6, 7, 6, 3], w: [8, 6, 3, 3] };
const values = (shape: readonly number[], seed: number) => randomArray(shape, seed).map((value) => 4 * value);
const activated = ({ x, w }: Parameters<OpCase["op"]>[0]) => conv2d(x!, w!, undefined, { pad: 1, activation: "relu" });
const fused: OpCase = { title: "", inputs, values, op: (given) => lrnMaxPool(activated(given), LRN, POOL) };
const apart: OpCase = { title: "", inputs, values, op: (given) => maxPool(lrn(activated(given), LRN), POOL) };

/** A backend for which ops split their work and that prefers `way`; and the kernels that ran. */
function preferring(way: string, backend: Backend) {
  return watched(backend, {
    needsSplitting: true,
    fastest: (_kernel, _sizes, ways) => (way in ways ? way : undefined),
  });
}

const BETWEEN = ["lrn_forward", "lrn_backward", "max_pool_forward", "max_pool_backward", "epilogue_backward"];

async function compare(way: string, backend: Backend, tolerance: number): Promise<void> {
  const { backend: device, kernels } = preferring(way, backend);
  const expected = await forwardAndBackward(openReference("f64"), apart, drawInputs(apart));
  const actual = await forwardAndBackward(device, fused, drawInputs(fused));
  expectClose("y", actual.y, expected.y, tolerance);
  for (const name of ["x", "w"]) expectClose(name, actual.gradients[name]!, expected.gradients[name]!, tolerance);
  const own = ["lrn_max_pool_forward", "lrn_max_pool_backward"];
  const some = way === "together" ? own : BETWEEN.slice(0, 4);
  expect(kernels.filter((name) => [...own, ...BETWEEN].includes(name)).sort()).toEqual([...some].sort());
}

test.each(["together", "apart"])("in float64, %s", (way) => compare(way, openReference("f64"), 1e-12));

describeBackends(
  "normalisation with max-pooling",
  ({ open }) => {
    test.each(["together", "apart"])("%s", async (way) => compare(way, await open(), 2e-5));
  },
  ["wgpu"],
);

test("other windows, and devices that don't split work, take the two ops", () => {
  const kernelsOf = (needsSplitting: boolean, n: number, window: number) => {
    const { backend, kernels } = preferring("together", openReference());
    const tape = new Tape({ ...backend, needsSplitting }, { record: false });
    lrnMaxPool(tape.input([5, 6, 6, 2], new Float32Array(360)), { ...LRN, groups: 1, n }, { window, stride: 2 });
    return kernels;
  };
  expect(kernelsOf(true, 5, 3)).toEqual(["lrn_max_pool_forward"]);
  for (const [splits, n, window] of [
    [false, 5, 3],
    [true, 3, 3],
    [true, 5, 2],
  ] as const) {
    expect(kernelsOf(splits, n, window)).toEqual(["lrn_forward", "max_pool_forward"]);
  }
});

test("what doesn't fit is refused as by the two ops", () => {
  const { backend } = preferring("together", openReference());
  const tape = new Tape(backend);
  const x = tape.input([5, 2, 6, 2], new Float32Array(120));
  expect(() => lrnMaxPool(x, LRN, POOL)).toThrow(ShapeError);
  expect(() => lrnMaxPool(x, { ...LRN, groups: 1 }, POOL)).toThrow(/a window of 3 × 3 does not fit an image of 2 × 6/);
});
