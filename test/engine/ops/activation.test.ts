import { expect, test } from "bun:test";
import { relu, tanh } from "../../../src/engine/ops/activation.ts";
import { gelu, geluTanh, hardSwish, relu6, sigmoid, silu } from "../../../src/engine/ops/later/activation.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import type { Tensor } from "../../../src/engine/tensor.ts";
import { describeBackends } from "../../support/backends.ts";
import { randomArray } from "../../support/data.ts";
import { seedGradient, testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

const shapes = [[1], [3, 5], [2, 3, 1, 7], [67, 3]];
// None of the numbers is so near to 0, where ReLU has no derivative, that a difference would reach across.
const reluCases: OpCase[] = shapes.map((x) => ({ title: x.join(" × "), inputs: { x }, op: ({ x }) => relu(x!) }));
const tanhCases: OpCase[] = shapes.map((x) => ({ title: x.join(" × "), inputs: { x }, op: ({ x }) => tanh(x!) }));

// ReLU does no arithmetic; tanh is a polynomial or two exponentials.
testOp("relu", reluCases, 0);
testOp("tanh", tanhCases, 3e-6);

test("relu at zero has no gradient", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([4], Float32Array.of(-1, 0, -0, 2), { requiresGrad: true });
  const y = relu(x).keep();
  tape.backward(seedGradient(y, Float32Array.of(1, 1, 1, 1)));
  expect(await y.read()).toEqual(Float32Array.of(0, 0, 0, 2));
  expect(await x.grad!.read()).toEqual(Float32Array.of(0, 0, 0, 1));
});

testOnBackends(
  "tanh of large numbers is ±1, not NaN",
  [
    {
      title: "±100",
      inputs: { x: [5] },
      op: ({ x }) => tanh(x!),
      values: () => Float32Array.of(-100, -20, 0, 20, 100),
    },
  ],
  1e-6,
);

/** Those whose gradients need the input. */
const ofInput = { relu6, sigmoid, silu, gelu, geluTanh, hardSwish };
// ±8: all that is not flat or linear, and no number so near to a corner that a difference would reach across.
const wide = (shape: readonly number[], seed: number) => randomArray(shape, seed).map((value) => 8 * value);
for (const [name, op] of Object.entries(ofInput)) {
  const cases = shapes.map((x): OpCase => ({
    ...{ title: x.join(" × "), inputs: { x }, op: ({ x }) => op(x!), values: wide },
  }));
  testOp(name, cases, name === "relu6" ? 0 : 2e-6);
}

/** Values and derivatives in float64, by mpmath 1.3. */
const NORMAL = [
  [-5.5, -1.0444259356238245e-7, -5.733472398739924e-7],
  [-3.5, -0.0008142017766243376, -0.002821760353624635],
  [-3, -0.0040496940948902835, -0.011945647204183927],
  [-1, -0.15865525393145705, -0.0833154705876863],
  [0, 0, 0.5],
  [0.25, 0.14967658142073093, 0.695373354883636],
  [2.875, 2.8691921047164053, 1.0163744584033843],
  [6, 5.999999994080474, 1.0000000354687095],
] as const;

/** y and dx for gradients of 1. */
async function valuesOf(op: (x: Tensor) => Tensor, inputs: readonly number[], backend = openReference("f64")) {
  const tape = new Tape(backend);
  const x = tape.input([inputs.length], Float32Array.from(inputs), { requiresGrad: true });
  const y = op(x).keep();
  tape.backward(seedGradient(y, new Float32Array(inputs.length).fill(1)));
  const result = { y: [...(await y.read())], dx: [...(await x.grad!.read())] };
  tape.release();
  return result;
}

test("gelu's plain loop is right in float64, in the tail too", async () => {
  const { y, dx } = await valuesOf(
    gelu,
    NORMAL.map(([x]) => x),
  );
  for (const [i, [x, value, slope]] of NORMAL.entries()) {
    expect(Math.abs(y[i]! - value), `gelu(${x})`).toBeLessThanOrEqual(1e-12 * Math.abs(value));
    expect(Math.abs(dx[i]! - slope), `gelu'(${x})`).toBeLessThanOrEqual(1e-12 * Math.abs(slope));
  }
});

test("in corners the slope is PyTorch's", async () => {
  expect((await valuesOf(relu6, [-1, 0, 1, 6, 7])).dx).toEqual([0, 0, 1, 0, 0]);
  expect((await valuesOf(hardSwish, [-4, -3, 0, 3, 4])).dx).toEqual([0, 0, 0.5, 1, 1]);
});

describeBackends("tails", ({ open }) => {
  test.each([
    ["sigmoid", sigmoid, -20],
    ["silu", silu, -20],
    ["gelu", gelu, -5.5],
    ["geluTanh", geluTanh, -5],
  ] as const)("of %s are right relative to their size", async (_, op, lowest) => {
    const inputs = Array.from({ length: 1001 }, (_, i) => lowest * (1 - i / 1250));
    const [expected, found] = [await valuesOf(op, inputs), await valuesOf(op, inputs, await open())];
    const errors = expected.y.map((value, i) => Math.abs(found.y[i]! / value - 1));
    // WGSL allows e^−x an error of 2x units in the last place.
    expect(Math.max(...errors)).toBeLessThan(1e-5);
  });

  test("of large numbers are flat or linear", async () => {
    const inputs = [-1e30, -100, 100, 1e30];
    for (const [name, op] of Object.entries(ofInput)) {
      const ends = { relu6: [0, 0, 6, 6], sigmoid: [0, 0, 1, 1] }[name];
      const { y, dx } = await valuesOf(op, inputs, await open());
      for (const [i, value] of (ends ?? [0, 0, 100, 1e30]).entries()) {
        expect(Math.abs(y[i]! - Math.fround(value)), name).toBeLessThan(1e-6);
        expect(Math.abs(dx[i]! - (ends || i < 2 ? 0 : 1)), name).toBeLessThan(1e-6);
      }
    }
  });
});
