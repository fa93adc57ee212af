import { expect, test } from "bun:test";
import { asView, type Backend, type Buffer, type BufferView } from "../../../src/engine/backend.ts";
import { linear, matmul } from "../../../src/engine/ops/linear.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { randomArray } from "../../support/data.ts";
import { drawInputs, forwardAndBackward, testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

function linearCase(title: string, x: readonly number[], outputs: number): OpCase {
  const inputs = x.slice(0, -1).reduce((product, side) => product * side, 1);
  return { title, inputs: { x, w: [outputs, inputs], b: [outputs] }, op: ({ x, w, b }) => linear(x!, w!, b!) };
}

const cases = [
  linearCase("one of everything", [1, 1], 1),
  linearCase("5 → 3, batch 1", [5, 1], 3),
  linearCase("7 → 2, batch 3", [7, 3], 2),
  linearCase("from maps", [2, 3, 2, 3], 5),
];

// Sums of at most 300 products of numbers in ±1, in another order than the reference's.
testOp("linear", cases, 3e-6);
testOnBackends(
  "linear across tiles",
  [
    linearCase("131 → 67, batch 3", [131, 3], 67),
    linearCase("65 → 129, batch 65", [65, 65], 129),
    linearCase("300 → 1, batch 1", [300, 1], 1),
    linearCase("64 → 64, batch 128", [64, 128], 64),
  ],
  3e-6,
);

const matmulCase = (i: number, k: number, j: number): OpCase => ({
  title: `${i} × ${k} by ${k} × ${j}`,
  inputs: { a: [i, k], b: [k, j] },
  op: ({ a, b }) => matmul(a!, b!),
});
testOp("matmul", [matmulCase(1, 1, 1), matmulCase(3, 5, 2), matmulCase(4, 3, 19)], 3e-6);
testOnBackends("matmul across tiles", [matmulCase(67, 131, 3), matmulCase(129, 65, 68), matmulCase(1, 300, 65)], 3e-6);

test("matmul by hand, and what doesn't fit", async () => {
  const tape = new Tape(openReference());
  const a = tape.input([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6), { requiresGrad: true });
  const b = tape.input([3, 1], Float32Array.of(1, 10, 100));
  const y = matmul(a, b);
  expect([y.shape, await y.read()]).toEqual([[2, 1], Float32Array.of(321, 654)]);
  expect(() => matmul(b, a)).toThrow("matmul: 3 × 1 and 2 × 3: must be I × K and K × J");
  expect(() => matmul(a, tape.input([3], new Float32Array(3)))).toThrow("matmul: 2 × 3 and 3: must be");
});

test("linear by hand", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([2, 2], Float32Array.of(1, 2, 10, 20));
  const w = tape.input([3, 2], Float32Array.of(1, 0, 0, 1, 2, 3));
  const y = linear(x, w, tape.input([3], Float32Array.of(0, 0.5, -1)));
  expect(y.shape).toEqual([3, 2]);
  expect(await y.read()).toEqual(Float32Array.of(1, 2, 10.5, 20.5, 31, 63));
});

test.each([3, 17])(
  "weights larger than a binding are worked on in pieces, with the same results: %d images",
  async (images) => {
    const opCase = linearCase("300 rows", [5, images], 300);
    const data = drawInputs(opCase);
    const whole = openReference("f64");
    const views: number[] = [];
    // 128 rows of 5 numbers are 2,560 bytes: three pieces, of 128, 128 and 44 rows.
    const small: Backend = {
      ...openReference("f64"),
      limits: { bindingBytes: 4000, bufferBytes: Infinity, totalBytes: Infinity, viewAlignment: 256 },
      run(kernel, buffers, uniforms) {
        if (kernel.name.startsWith("linear_forward")) {
          views.push((uniforms as { outputs: number }).outputs);
          const y = asView((buffers as Record<string, Buffer | BufferView>).y!);
          // In half precision, too.
          expect((2 * y.offset) % 256).toBe(0);
        }
        whole.run(kernel, buffers, uniforms);
      },
    };
    expect(await forwardAndBackward(small, opCase, data)).toEqual(await forwardAndBackward(whole, opCase, data));
    expect(views).toEqual([128, 128, 44]);
  },
);

test("linear refuses shapes that don't fit", () => {
  const tape = new Tape(openReference());
  const input = (...shape: number[]) => tape.input(shape, randomArray(shape, 1));
  const call = () => linear(input(2, 3, 3, 4), input(10, 17), input(10));
  expect(call).toThrow(ShapeError);
  expect(call).toThrow("input 2 × 3 × 3 × 4, weights 10 × 17, bias 10: need weights O × 18");
  expect(() => linear(input(6, 4), input(10, 6), input(9))).toThrow("bias 9");
});
