import { expect, test } from "bun:test";
import { conv2d } from "../../../src/engine/ops/conv2d.ts";
import { local2d } from "../../../src/engine/ops/local2d.ts";
import { positions, type Padding } from "../../../src/engine/ops/shapes.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { expectClose, randomArray } from "../../support/data.ts";
import { testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

function localCase(
  title: string,
  x: readonly [c: number, h: number, w: number, images: number],
  filters: number,
  [kh, kw]: readonly [number, number],
  options: { stride?: number; pad?: Padding } = {},
): OpCase {
  const [c, h, width] = x;
  const { stride = 1, pad = 0 } = options;
  const b = [filters, positions(h, kh, stride, pad, "down"), positions(width, kw, stride, pad, "down")];
  return { title, inputs: { x, w: [...b, c, kh, kw], b }, op: ({ x, w, b }) => local2d(x!, w!, b!, options) };
}

const cases = [
  localCase("one of everything", [1, 1, 1, 1], 1, [1, 1]),
  localCase("window as large as the image", [2, 3, 2, 3], 2, [3, 2]),
  localCase("padded", [2, 3, 4, 2], 2, [3, 3], { pad: 1 }),
  localCase("stride 2, a row and a column left over", [1, 4, 5, 3], 2, [2, 3], { stride: 2, pad: 1 }),
  localCase('"same", stride 2', [2, 6, 6, 2], 2, [3, 3], { stride: 2, pad: "same" }),
];

// Sums of a few dozen products of numbers in ±1.
testOp("local2d", cases, 2e-6);
testOnBackends("local2d, larger", [localCase("like local3", [7, 6, 6, 13], 5, [3, 3], { pad: 1 })], 3e-6);

test("with the same filter at every position it is a convolution", async () => {
  const tape = new Tape(openReference("f64"));
  const x = tape.input([2, 4, 5, 3], randomArray([2, 4, 5, 3], 1));
  const filter = randomArray([1, 2, 3, 3], 2);
  const shared = await conv2d(x, tape.input([1, 2, 3, 3], filter), tape.input([1], Float32Array.of(0.25))).read();
  const w = new Float32Array(6 * 18);
  for (let position = 0; position < 6; position++) w.set(filter, position * 18);
  const b = tape.input([1, 2, 3], new Float32Array(6).fill(0.25));
  // Their sums begin and end with the bias.
  expectClose("y", await local2d(x, tape.input([1, 2, 3, 2, 3, 3], w), b).read(), shared, 1e-14);
});

test("local2d refuses weights for other positions", () => {
  const tape = new Tape(openReference());
  const input = (...shape: number[]) => tape.input(shape, randomArray(shape, 1));
  const call = () => local2d(input(2, 4, 4, 1), input(3, 3, 3, 2, 3, 3), input(3, 3, 3));
  expect(call).toThrow(ShapeError);
  expect(call).toThrow("input 2 × 4 × 4 × 1, weights 3 × 3 × 3 × 2 × 3 × 3");
  expect(() => local2d(input(2, 4, 4, 1), input(3, 2, 2, 2, 3, 3), input(3))).toThrow("bias 3,");
});
