import { expect, test } from "bun:test";
import { relu, tanh } from "../../../src/engine/ops/activation.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { seedGradient, testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

const shapes = [[1], [3, 5], [2, 3, 1, 7], [67, 3]];
// None of the numbers is so near to 0, where ReLU has no derivative, that a difference would reach across.
const reluCases: OpCase[] = shapes.map((x) => ({ title: x.join(" × "), inputs: { x }, op: ({ x }) => relu(x!) }));
const tanhCases: OpCase[] = shapes.map((x) => ({ title: x.join(" × "), inputs: { x }, op: ({ x }) => tanh(x!) }));

// ReLU does no arithmetic; tanh is a polynomial or two exponentials.
testOp("relu", reluCases, 0);
testOp("tanh", tanhCases, 3e-6);
// One more than 65,535 workgroups of 64 hold.
testOnBackends("relu", [{ ...reluCases[0]!, title: "a folded grid", inputs: { x: [65_535 * 64 + 1] } }], 0);

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
