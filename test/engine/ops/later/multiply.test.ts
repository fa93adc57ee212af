import { describe, expect, test } from "bun:test";
import { multiply, scale } from "../../../../src/engine/ops/later/multiply.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import type { Backend } from "../../../../src/engine/backend.ts";
import { drawInputs, forwardAndBackward, testOp, type OpCase } from "../../../support/gradcheck.ts";

const elementwise: OpCase[] = [[1], [3, 5], [2, 3, 1, 7], [67, 3]].map((shape) => ({
  title: shape.join(" × "),
  inputs: { a: shape, b: shape },
  op: ({ a, b }) => multiply(a!, b!),
}));
const byMap: OpCase[] = [
  [1, 1, 1, 1],
  [3, 2, 4, 1],
  [2, 3, 5, 7],
  [5, 1, 1, 3],
  [2, 7, 3, 33],
].map((shape) => ({
  title: `${shape.join(" × ")}, a number for each map`,
  inputs: { a: shape, b: [shape[0]!, 1, 1, shape[3]!] },
  op: ({ a, b }) => multiply(a!, b!),
}));

testOp("multiply", [...elementwise, ...byMap], 1e-6);
testOp("multiply: a square", [{ title: "5 × 3", inputs: { x: [5, 3] }, op: ({ x }) => multiply(x!, x!) }], 1e-6);
testOp(
  "scale",
  [-1, 0.3, 1e3].map((factor) => ({
    title: `by ${factor}`,
    inputs: { x: [5, 67] },
    op: ({ x }) => scale(x!, factor),
  })),
  2e-7,
);

describe("on a device that binds few bytes", () => {
  const reference = openReference("f64");
  const sizes: number[] = [];
  const small: Backend = {
    ...openReference("f64"),
    limits: { ...reference.limits, bindingBytes: 1024, viewAlignment: 256 },
    run(kernel, buffers, uniforms) {
      if (kernel.name === "multiply") sizes.push((uniforms as { size: number }).size);
      reference.run(kernel, buffers, uniforms);
    },
  };

  test("elements are multiplied in pieces", async () => {
    const opCase = { ...elementwise[0]!, inputs: { a: [300], b: [300] } };
    const data = drawInputs(opCase);
    expect(await forwardAndBackward(small, opCase, data)).toEqual(await forwardAndBackward(reference, opCase, data));
    expect(sizes).toEqual([256, 44, 256, 44, 256, 44]);
  });

  test("maps are not cut, but refused", () => {
    const tape = new Tape(small);
    const [a, b] = [tape.input([3, 10, 10, 1], new Float32Array(300)), tape.input([3, 1, 1, 1], new Float32Array(3))];
    expect(() => multiply(a, b)).toThrow("this device binds at most 1024");
  });
});

test("only a number for each map is broadcast", () => {
  const tape = new Tape(openReference());
  const input = (...shape: number[]) => tape.input(shape, new Float32Array(shape.reduce((n, side) => n * side, 1)));
  const wrong = "must be of one shape, or C × H × W × N and C × 1 × 1 × N";
  expect(() => multiply(input(2, 3), input(3, 2))).toThrow(`multiply: 2 × 3 and 3 × 2: ${wrong}`);
  expect(() => multiply(input(4, 2, 2, 3), input(4, 1, 1, 1))).toThrow(
    `multiply: 4 × 2 × 2 × 3 and 4 × 1 × 1 × 1: ${wrong}`,
  );
  expect(() => multiply(input(4, 1, 1, 3), input(4, 2, 2, 3))).toThrow(wrong);
  expect(() => multiply(input(4, 3), input(1, 3))).toThrow(wrong);
  expect(() => scale(input(2), NaN)).toThrow("scale: factor is NaN, must be a finite number");
});
