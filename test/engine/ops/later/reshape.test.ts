import { expect, test } from "bun:test";
import { add } from "../../../../src/engine/ops/later/add.ts";
import { relu } from "../../../../src/engine/ops/activation.ts";
import { matmul } from "../../../../src/engine/ops/linear.ts";
import { multiply } from "../../../../src/engine/ops/later/multiply.ts";
import { reshape } from "../../../../src/engine/ops/later/reshape.ts";
import { sum } from "../../../../src/engine/ops/later/sum.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { ShapeError } from "../../../../src/errors.ts";
import { seedGradient, testOp } from "../../../support/gradcheck.ts";

testOp(
  "reshape",
  [
    { title: "an input", inputs: { x: [2, 3, 1, 7] }, op: ({ x }) => reshape(x!, [6, 7]) },
    {
      title: "twice, between ops, beside other uses",
      inputs: { x: [2, 6], y: [3, 4] },
      op: ({ x, y }) => {
        const z = relu(x!);
        const other = reshape(reshape(z, [12]), [3, 4]);
        return add(multiply(other, y!), reshape(multiply(z, x!), [3, 4]));
      },
    },
    {
      title: "before a product",
      inputs: { x: [2, 2, 1, 3], w: [5, 4] },
      op: ({ x, w }) => matmul(w!, reshape(relu(x!), [4, 3])),
    },
  ],
  1e-6,
);

function setUp() {
  const backend = openReference();
  const tape = new Tape(backend);
  const x = tape.input([2, 3], Float32Array.of(1, -2, 3, -4, 5, -6), { requiresGrad: true });
  return { backend, tape, x };
}

test("a view takes no memory", () => {
  const { backend, x } = setUp();
  const before = backend.statistics();
  expect(reshape(x, [3, 2]).buffer).toBe(x.buffer);
  expect(backend.statistics()).toEqual(before);
});

test("a view that is kept keeps what it shows", async () => {
  const { tape, x } = setUp();
  const y = relu(x);
  const view = reshape(y, [6]).keep();
  tape.backward(seedGradient(view, new Float32Array(6).fill(1)));
  // Would be written over if the memory were back in the pool.
  const more = tape.input([2, 3], new Float32Array(6).fill(9));
  expect(more.buffer).not.toBe(view.buffer);
  expect(await view.read()).toEqual(Float32Array.of(1, 0, 3, 0, 5, 0));
  expect(view.grad!.shape).toEqual([6]);
  expect(await view.grad!.read()).toEqual(new Float32Array(6).fill(1));
});

test("one that is not kept says so after backward()", () => {
  const { tape, x } = setUp();
  const view = reshape(relu(x), [3, 2]);
  tape.backward(sum(view));
  expect(view.isReleased).toBe(true);
  expect(() => relu(view)).toThrow("relu: x: a tensor of shape 3 × 2 was used after its memory was released");
  expect(() => view.read()).toThrow(ShapeError);
});

test("after steps nothing more is held, and nothing is given back twice", () => {
  const { backend } = setUp();
  const held = [1, 2, 3].map(() => {
    const tape = new Tape(backend);
    const x = tape.input([2, 3], new Float32Array(6), { requiresGrad: true });
    tape.backward(sum(reshape(reshape(relu(x), [6]), [3, 2]).keep()));
    tape.release();
    return backend.statistics().buffers;
  });
  expect(held[2]).toBe(held[1]!);
  const tape = new Tape(backend);
  const buffers = [1, 2, 3, 4].map(() => tape.allocate([6]).buffer);
  expect(new Set(buffers).size).toBe(4);
});

test("refuses shapes that x doesn't fill", () => {
  const { x } = setUp();
  expect(() => reshape(x, [4, 2])).toThrow("reshape: 2 × 3 to 4 × 2: 6 elements don't fill a shape of 8");
  expect(() => reshape(x, [-1, 2])).toThrow("reshape: shape -1 × 2: dimensions must be whole numbers above 0");
});
