import { describe, expect, test } from "bun:test";
import { conv2d, conv2dBackwardX, conv2dForward, type Conv2dOptions } from "../../../src/engine/ops/conv2d.ts";
import { paddingOf, type Padding } from "../../../src/engine/ops/shapes.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { randomArray } from "../../support/data.ts";
import { testOnBackends, testOp, type OpCase } from "../../support/gradcheck.ts";

/** @param window height and width */
function convCase(
  title: string,
  x: readonly [c: number, h: number, w: number, images: number],
  filters: number,
  [kh, kw]: readonly [number, number],
  options: Conv2dOptions = {},
): OpCase {
  const w = [filters, x[0] / (options.groups ?? 1), kh, kw];
  return { title, inputs: { x, w, b: [filters] }, op: ({ x, w, b }) => conv2d(x!, w!, b!, options) };
}

const cases = [
  convCase("one of everything", [1, 1, 1, 1], 1, [1, 1]),
  convCase("window as large as the image", [2, 3, 3, 2], 3, [3, 3]),
  convCase("window larger than the image, padded", [1, 2, 2, 3], 2, [3, 3], { pad: 1 }),
  convCase("oblong window on an oblong image", [2, 5, 4, 3], 3, [3, 2], { pad: 1 }),
  convCase("padding wider than the window's reach", [1, 3, 2, 2], 2, [2, 2], { pad: 2 }),
  convCase("stride 2, a row and a column left over", [2, 6, 7, 1], 3, [3, 3], { stride: 2 }),
  convCase("stride 3, larger than the window", [2, 7, 7, 2], 1, [2, 2], { stride: 3, pad: 1 }),
  convCase("two groups", [4, 4, 3, 3], 6, [3, 3], { pad: 1, groups: 2 }),
  convCase("three groups, stride 2", [3, 5, 5, 2], 3, [3, 3], { stride: 2, pad: 2, groups: 3 }),
  convCase("1 × 1", [5, 3, 2, 3], 2, [1, 1]),
  convCase('"same", stride 2', [2, 6, 6, 3], 2, [3, 3], { stride: 2, pad: "same" }),
  convCase('"same", an even window', [2, 5, 4, 2], 4, [2, 2], { pad: "same", groups: 2 }),
  convCase('"same", stride 3', [1, 7, 7, 4], 2, [4, 4], { stride: 3, pad: "same" }),
];

// Sums of at most a few hundred products of numbers in ±1, in another order than the reference's: about 1e-6.
testOp("conv2d", cases, 3e-6);

const withoutBias = (title: string, groups: number): OpCase => ({
  title,
  inputs: { x: [4, 5, 4, 3], w: [4, 4 / groups, 3, 3] },
  op: ({ x, w }) => conv2d(x!, w!, undefined, { pad: 1, groups }),
});
testOp("conv2d", [withoutBias("without biases", 1), withoutBias("depthwise, without biases", 4)], 3e-6);

// Too slow for a gradient check: more than one tile of 64 in each direction, none of them full.
testOnBackends(
  "conv2d across tiles",
  [
    convCase("67 filters on 3 images", [5, 9, 7, 3], 67, [3, 3], { pad: 1 }),
    convCase("67 maps, 2 filters", [67, 5, 5, 5], 2, [3, 3], { pad: 1 }),
    convCase("130 maps in two groups", [130, 3, 3, 17], 132, [1, 1], { groups: 2 }),
    convCase("like conv1", [3, 31, 27, 2], 7, [11, 11], { stride: 4 }),
    convCase("like conv2", [6, 9, 9, 8], 10, [5, 5], { pad: 2, groups: 2 }),
    convCase("32 images", [3, 5, 5, 32], 8, [3, 3], { pad: 1 }),
    convCase("129 images", [2, 3, 3, 129], 3, [2, 2]),
  ],
  3e-6,
);

test("conv2d by hand", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([1, 2, 3, 1], Float32Array.of(1, 2, 3, 4, 5, 6));
  const w = tape.input([1, 1, 2, 2], Float32Array.of(1, 10, 100, 1000));
  const b = tape.input([1], Float32Array.of(0.5));
  expect(await conv2d(x, w, b).read()).toEqual(Float32Array.of(5421.5, 6532.5));
  const padded = conv2d(x, w, b, { pad: 1, stride: 2 });
  expect(padded.shape).toEqual([1, 2, 2, 1]);
  expect(await padded.read()).toEqual(Float32Array.of(1000.5, 3200.5, 40.5, 65.5));
});

test("a convolution with two groups is two convolutions", async () => {
  const tape = new Tape(openReference("f64"));
  const w = randomArray([4, 3, 2, 2], 1);
  const x = randomArray([6, 3, 3, 2], 2);
  const b = randomArray([4], 3);
  const part = (whole: Float32Array, half: number) =>
    whole.subarray((half * whole.length) / 2, ((half + 1) * whole.length) / 2);
  const both = await conv2d(tape.input([6, 3, 3, 2], x), tape.input([4, 3, 2, 2], w), tape.input([4], b), {
    groups: 2,
  }).read();
  for (const half of [0, 1]) {
    const inputs = [tape.input([3, 3, 3, 2], part(x, half)), tape.input([2, 3, 2, 2], part(w, half))] as const;
    const y = await conv2d(...inputs, tape.input([2], part(b, half))).read();
    expect(y).toEqual(both.slice(half * y.length, (half + 1) * y.length));
  }
});

/** Around each map of x, C × H × W × N: `before` zeros above and on the left, `after` below and on the right. */
function padded(
  x: Float32Array,
  [c, h, w, n]: readonly [number, number, number, number],
  before: number,
  after: number,
) {
  const [height, width] = [h + before + after, w + before + after];
  const wide = new Float32Array(c * height * width * n);
  for (let map = 0; map < c; map++) {
    for (let row = 0; row < h; row++) {
      const from = (map * h + row) * w * n;
      wide.set(x.subarray(from, from + w * n), ((map * height + row + before) * width + before) * n);
    }
  }
  return { shape: [c, height, width, n], data: wide };
}

describe('padding "same" is TensorFlow\'s', () => {
  // The side of the image, of the window, and the stride; then the padding before and after, and the positions.
  const table = [
    [6, 3, 2, 0, 1, 3],
    [7, 3, 2, 1, 1, 4],
    [5, 3, 1, 1, 1, 5],
    [5, 2, 1, 0, 1, 5],
    [9, 4, 1, 1, 2, 9],
    [14, 7, 2, 2, 3, 7],
    [8, 5, 3, 1, 2, 3],
    [7, 2, 3, 0, 1, 3],
    [9, 1, 2, 0, 0, 5],
    [3, 5, 2, 2, 2, 2],
  ] as const;
  const maps = 4;
  test.each(table)("side %i, window %i, stride %i", async (side, window, stride, before, after, count) => {
    expect(paddingOf(side, window, stride, "same")).toEqual([before, after]);
    for (const groups of [1, 2, maps]) {
      const shape = [maps, side, side, 3] as const;
      const x = randomArray(shape, 1);
      const wShape = [maps, maps / groups, window, window];
      const run = async (input: { shape: readonly number[]; data: Float32Array }, pad: Padding) => {
        const tape = new Tape(openReference("f64"));
        const [w, b] = [tape.input(wShape, randomArray(wShape, 2)), tape.input([maps], randomArray([maps], 3))];
        return conv2d(tape.input(input.shape, input.data), w, b, { stride, pad, groups });
      };
      const same = await run({ shape, data: x }, "same");
      expect(same.shape).toEqual([maps, count, count, 3]);
      expect(await same.read()).toEqual(await (await run(padded(x, shape, before, after), 0)).read());
    }
  });
});

test("a dispatch has at most 65,535 workgroups in x", () => {
  const conv1 = { c: 3, h: 227, w: 227, o: 96, oh: 55, ow: 55, kh: 11, kw: 11, stride: 4, pad: 0, groups: 1 };
  const forward = (images: number) => conv2dForward.workgroups({ ...conv1, images, scaled: 0, activation: 0 });
  const backwardX = (images: number) => conv2dBackwardX.workgroups({ ...conv1, images });
  expect(forward(128)).toEqual([6050, 2, 1]);
  expect(forward(1386)).toEqual([65_511, 2, 1]);
  expect(forward(1387)).toEqual([32_779, 2, 2]);
  expect(backwardX(128)).toEqual([51_529, 1, 2]);
});

test("conv2d refuses shapes that don't fit", () => {
  const tape = new Tape(openReference());
  const input = (...shape: number[]) => tape.input(shape, randomArray(shape, 1));
  const refusal = (x: number[], w: number[], b: number[], options?: Conv2dOptions) =>
    expect(() => conv2d(input(...x), input(...w), input(...b), options));
  refusal([3, 5, 5, 2], [4, 2, 3, 3], [4]).toThrow(ShapeError);
  refusal([3, 5, 5, 2], [4, 2, 3, 3], [4]).toThrow("input 3 × 5 × 5 × 2, weights 4 × 2 × 3 × 3");
  refusal([4, 5, 5, 2], [3, 2, 3, 3], [3], { groups: 2 }).toThrow("O a multiple of the groups");
  refusal([3, 5, 5, 2], [4, 3, 3, 3], [5]).toThrow("bias 5");
  refusal([3, 5, 5, 2], [4, 3, 8, 8], [4], { pad: 1 }).toThrow(
    "a window of 8 × 8 does not fit an image of 5 × 5 with padding 1",
  );
  refusal([3, 6, 5, 2], [4, 3, 3, 3], [4], { pad: "same", stride: 2 }).toThrow(
    'conv2d: an image of 6 × 5, a window of 3 × 3, stride 2: "same" is a padding of 0 above and 1 on the left: ' +
      "these must be equal",
  );
  refusal([3, 5, 5, 2], [4, 3, 3, 3], [4], { pad: "valid" as "same" }).toThrow(
    'conv2d: pad is "valid", must be a whole number, at least 0, or "same"',
  );
  refusal([3, 25, 2], [4, 3, 3, 3], [4]).toThrow("input 3 × 25 × 2, must be C × H × W × N");
});
