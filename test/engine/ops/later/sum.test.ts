import { expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { mean, meanSquaredError, sum } from "../../../../src/engine/ops/later/sum.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { describeBackends } from "../../../support/backends.ts";
import { randomArray } from "../../../support/data.ts";
import { drawInputs, forwardAndBackward, testOnBackends, testOp, type OpCase } from "../../../support/gradcheck.ts";

const SHAPES = [[1], [3, 5], [2, 3, 1, 7]];
/** Cut into rows, with some elements left over, or none. */
const LARGE = [[255], [256], [700], [8, 3, 31, 5], [70_001]];

const casesOf = (op: typeof sum, shapes: readonly number[][]): OpCase[] =>
  shapes.map((x) => ({ title: x.join(" × "), inputs: { x }, op: ({ x }) => op(x!) }));
const errorsOf = (shapes: readonly number[][]): OpCase[] =>
  shapes.map((shape) => ({
    title: shape.join(" × "),
    inputs: { x: shape, target: shape },
    op: ({ x, target }) => meanSquaredError(x!, target!),
  }));
/** A sum of numbers of both signs cancels, but not its error. */
const positive = (of: OpCase): OpCase => ({
  ...of,
  values: (shape, seed) => randomArray(shape, seed).map((value) => 1.5 + value / 2),
});

for (const op of [sum, mean]) {
  testOp(op.name, casesOf(op, SHAPES), 1e-6);
  testOnBackends(op.name, casesOf(op, LARGE).map(positive), 1e-6);
}
testOp("meanSquaredError", errorsOf(SHAPES), 1e-6);
testOnBackends("meanSquaredError", errorsOf(LARGE), 1e-6);

test("by hand", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([2, 2], Float32Array.of(1, 2, 3, -4), { requiresGrad: true }).keep();
  const target = tape.input([2, 2], Float32Array.of(0, 2, 1, 0));
  expect(await sum(x).read()).toEqual(Float32Array.of(2));
  expect(await mean(x).read()).toEqual(Float32Array.of(0.5));
  const loss = meanSquaredError(x, target);
  expect([loss.shape, await loss.read()]).toEqual([[1], Float32Array.of(21 / 4)]);
  tape.backward(loss);
  expect(await x.grad!.read()).toEqual(Float32Array.of(0.5, 0, 1, -2));
});

describeBackends("NaN reaches", ({ open }) => {
  test.each([sum, mean])("the %p", async (op) => {
    const tape = new Tape(await open());
    const numbers = new Float32Array(3000);
    for (const place of [0, 1500, 2999]) {
      const [value] = await op(tape.input([3000], numbers.with(place, NaN))).read();
      expect(value).toBeNaN();
    }
    tape.release();
  });
});

test("tensors larger than a binding are added up in pieces", async () => {
  const [opCase] = casesOf(sum, [[5000]]) as [OpCase];
  const reference = openReference("f64");
  const lengths: number[] = [];
  const small: Backend = {
    ...openReference("f64"),
    limits: { ...reference.limits, bindingBytes: 10_000, viewAlignment: 256 },
    run(kernel, buffers, uniforms) {
      for (const given of Object.values(buffers) as object[])
        if ("offset" in given) lengths.push((given as any).length);
      reference.run(kernel, buffers, uniforms);
    },
  };
  const data = drawInputs(opCase);
  const found = await forwardAndBackward(small, opCase, data);
  const expected = await forwardAndBackward(reference, opCase, data);
  expect(found.gradients).toEqual(expected.gradients);
  expect(found.y[0]!).toBeCloseTo(expected.y[0]!, 12);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(2500);
});

test("a target of another shape", () => {
  const tape = new Tape(openReference());
  const [x, target] = [tape.input([2, 3], new Float32Array(6)), tape.input([3, 2], new Float32Array(6))];
  expect(() => meanSquaredError(x, target)).toThrow("meanSquaredError: shapes 2 × 3 and 3 × 2: must be the same");
});
