import { expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { add, subtract } from "../../../../src/engine/ops/later/add.ts";
import { scale } from "../../../../src/engine/ops/later/multiply.ts";
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

test("one of the two takes over the gradient of the sum, the other gets a copy", async () => {
  let copies = 0;
  const reference = openReference();
  const backend: Backend = {
    ...reference,
    run(kernel, buffers, uniforms) {
      if (kernel.name === "copy_run") copies++;
      reference.run(kernel, buffers, uniforms);
    },
  };
  const tape = new Tape(backend);
  const input = (requiresGrad = true) => tape.input([2], Float32Array.of(1, -3), { requiresGrad });
  const [a, b, c] = [input(), input(), input()];
  const gradient = (numbers: readonly number[]) => ({ gradient: tape.input([2], Float32Array.from(numbers)) });
  // a and the inner sum, then b and c.
  tape.backward(scale(add(a, add(b, c, { activation: "relu" })), 0.5), gradient([2, 20]));
  expect(copies).toBe(2);
  // Nothing is changed by what is done to one of them: the inner sum's gradient was cut where it is below 0.
  expect(await a.grad!.read()).toEqual(Float32Array.of(1, 10));
  for (const each of [b, c]) expect(await each.grad!.read()).toEqual(Float32Array.of(1, 0));
  copies = 0;
  const single = input();
  tape.backward(scale(add(input(false), single), 0.5), gradient([2, 20]));
  expect(copies).toBe(0);
  expect(await single.grad!.read()).toEqual(Float32Array.of(1, 10));
  const kept = add(single, input()).keep();
  tape.backward(scale(kept, 0.5), gradient([2, 20]));
  expect(await kept.grad!.read()).toEqual(Float32Array.of(1, 10));
  expect(await single.grad!.read()).toEqual(Float32Array.of(2, 20));
});

test("shapes must be alike", () => {
  const tape = new Tape(openReference());
  const [a, b] = [tape.input([2, 3], new Float32Array(6)), tape.input([3, 2], new Float32Array(6))];
  expect(() => add(a, b)).toThrow("add: shapes 2 × 3 and 3 × 2: must be the same");
  expect(() => subtract(a, b)).toThrow("subtract: shapes 2 × 3 and 3 × 2: must be the same");
});
