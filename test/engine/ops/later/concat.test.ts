import { expect, test } from "bun:test";
import { concat } from "../../../../src/engine/ops/later/concat.ts";
import { relu } from "../../../../src/engine/ops/activation.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { seedGradient, testOp } from "../../../support/gradcheck.ts";

testOp(
  "concat",
  [
    { title: "one", inputs: { a: [2, 3] }, op: ({ a }) => concat([a!]) },
    { title: "vectors", inputs: { a: [3], b: [1], c: [67] }, op: ({ a, b, c }) => concat([a!, b!, c!]) },
    {
      title: "maps",
      inputs: { a: [2, 3, 5, 3], b: [1, 3, 5, 3], c: [4, 3, 5, 3] },
      op: ({ a, b, c }) => concat([a!, relu(b!), c!]),
    },
  ],
  0,
);

test("one behind the other, the same one twice", async () => {
  const tape = new Tape(openReference());
  const a = tape.input([1, 2], Float32Array.of(1, 2), { requiresGrad: true });
  const b = tape.input([2, 2], Float32Array.of(3, 4, 5, 6));
  const y = concat([a, b, a]).keep();
  expect([y.shape, await y.read()]).toEqual([[4, 2], Float32Array.of(1, 2, 3, 4, 5, 6, 1, 2)]);
  tape.backward(seedGradient(y, Float32Array.of(1, 2, 3, 4, 5, 6, 70, 80)));
  expect(await a.grad!.read()).toEqual(Float32Array.of(71, 82));
  expect(b.grad).toBeUndefined();
});

test("refuses other sides, and nothing", () => {
  const tape = new Tape(openReference());
  const input = (...shape: number[]) => tape.input(shape, new Float32Array(shape.reduce((n, side) => n * side, 1)));
  expect(() => concat([input(2, 3), input(2, 4)])).toThrow(
    "concat: 2 × 3, 2 × 4: must have the same sides but for the first",
  );
  expect(() => concat([input(2, 3), input(2)])).toThrow("concat: 2 × 3, 2: must have");
  expect(() => concat([])).toThrow("concat: the tensors are an Array, must be an array of at least one");
  expect(() => concat(input(2) as any)).toThrow("concat: the tensors are a Tensor, must be an array of at least one");
  expect(() => concat([input(2), 3 as any])).toThrow("concat: tensor 2 is 3, must be a Tensor");
});
