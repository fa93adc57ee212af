import { expect, test } from "bun:test";
import { add, subtract } from "../../../../src/engine/ops/later/add.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { seedGradient, testOp, type OpCase } from "../../../support/gradcheck.ts";

const casesOf = (op: typeof add): OpCase[] =>
  [[1], [3, 5], [2, 3, 1, 7], [67, 3]].map((shape) => ({
    title: shape.join(" × "),
    inputs: { a: shape, b: shape },
    op: ({ a, b }) => op(a!, b!),
  }));
const cases = casesOf(add);

testOp("add", cases, 1e-7);
testOp("subtract", casesOf(subtract), 1e-7);

test("a tensor added to itself gets the gradient twice", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([2], Float32Array.of(1, -3), { requiresGrad: true });
  const y = add(x, x).keep();
  tape.backward(seedGradient(y, Float32Array.of(1, 10)));
  expect(await y.read()).toEqual(Float32Array.of(2, -6));
  expect(await x.grad!.read()).toEqual(Float32Array.of(2, 20));
});

test("shapes must be alike", () => {
  const tape = new Tape(openReference());
  const [a, b] = [tape.input([2, 3], new Float32Array(6)), tape.input([3, 2], new Float32Array(6))];
  expect(() => add(a, b)).toThrow("add: shapes 2 × 3 and 3 × 2: must be the same");
  expect(() => subtract(a, b)).toThrow("subtract: shapes 2 × 3 and 3 × 2: must be the same");
});
