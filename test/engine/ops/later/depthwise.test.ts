/** Depthwise convolution, which conv2d computes by kernels of its own. */
import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { conv2d, conv2dBackwardW, conv2dBackwardX, conv2dForward } from "../../../../src/engine/ops/conv2d.ts";
import {
  depthwiseBackwardW,
  depthwiseBackwardX,
  depthwiseForward,
} from "../../../../src/engine/ops/later/depthwise.ts";
import { padBefore, positions, type Padding } from "../../../../src/engine/ops/shapes.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { expectClose, randomArray } from "../../../support/data.ts";
import { forwardAndBackward, drawInputs, testOnBackends, testOp, type OpCase } from "../../../support/gradcheck.ts";

function depthwiseCase(
  title: string,
  x: readonly [c: number, h: number, w: number, images: number],
  [kh, kw]: readonly [number, number],
  options: { readonly stride?: number; readonly pad?: Padding } = {},
): OpCase {
  const [groups] = x;
  const inputs = { x, w: [groups, 1, kh, kw], b: [groups] };
  return { title, inputs, op: ({ x, w, b }) => conv2d(x!, w!, b!, { ...options, groups }) };
}

const cases = [
  depthwiseCase("two maps of one pixel", [2, 1, 1, 1], [1, 1]),
  depthwiseCase("3 × 3, padded, one image", [3, 5, 7, 1], [3, 3], { pad: 1 }),
  depthwiseCase("3 × 3, stride 2, a column left over", [2, 5, 6, 3], [3, 3], { stride: 2 }),
  depthwiseCase('3 × 3, stride 2, "same"', [2, 6, 6, 2], [3, 3], { stride: 2, pad: "same" }),
  depthwiseCase("5 × 5, stride 3", [2, 7, 8, 2], [5, 5], { stride: 3, pad: 2 }),
  depthwiseCase("7 × 7 on a smaller image", [2, 4, 3, 2], [7, 7], { pad: 3 }),
  depthwiseCase("an oblong window", [3, 4, 5, 2], [2, 4], { pad: 1 }),
  depthwiseCase('an even window, "same"', [2, 4, 4, 3], [4, 4], { pad: "same" }),
  depthwiseCase("windows that hold no pixel", [2, 2, 2, 3], [2, 2], { pad: 3 }),
  depthwiseCase("pixels that no window holds", [2, 7, 6, 2], [2, 2], { stride: 3 }),
];

// Sums of at most a few hundred products of numbers in ±1, in another order than the reference's: about 1e-6.
testOp("depthwise conv2d", cases, 3e-6);
testOnBackends(
  "depthwise conv2d, larger",
  [
    depthwiseCase("67 maps", [67, 14, 15, 33], [3, 3], { pad: 1 }),
    depthwiseCase("stride 2", [9, 28, 28, 20], [5, 5], { stride: 2, pad: "same" }),
    depthwiseCase("one image", [5, 56, 50, 1], [7, 7], { pad: 3 }),
  ],
  5e-6,
);

/** A backend, and the names of the kernels that it ran. */
function watched(backend: Backend, properties: Partial<Backend> = {}) {
  const ran: string[] = [];
  const wrapped: Backend = {
    ...backend,
    ...properties,
    run(kernel, buffers, uniforms) {
      ran.push(kernel.name);
      backend.run(kernel, buffers, uniforms);
    },
  };
  return { backend: wrapped, ran };
}

test.each([
  [[4, 5, 5, 2], 4, 4, true],
  [[4, 5, 5, 2], 8, 4, false],
  [[4, 5, 5, 2], 4, 2, false],
  [[1, 5, 5, 2], 1, 1, false],
] as const)(
  "conv2d of %p with %i filters in %i groups: by kernels of its own is %p",
  async (x, filters, groups, own) => {
    const { backend, ran } = watched(openReference());
    const opCase: OpCase = {
      title: "",
      inputs: { x, w: [filters, x[0] / groups, 3, 3], b: [filters] },
      op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: 1, groups }),
    };
    await forwardAndBackward(backend, opCase, drawInputs(opCase));
    const kernels = own
      ? [depthwiseForward, depthwiseBackwardW, depthwiseBackwardX]
      : [conv2dForward, conv2dBackwardW, conv2dBackwardX];
    expect(ran.filter((name) => name !== "row_sum")).toEqual(kernels.map(({ name }) => name));
  },
);

test("a large GPU sums the gradient of few weights in parts", async () => {
  const opCase = depthwiseCase("", [2, 12, 12, 8], [3, 3], { pad: 1 });
  const data = drawInputs(opCase);
  const large = watched(openReference("f64"), { needsSplitting: true, parallelWorkgroups: 400 });
  const { gradients } = await forwardAndBackward(large.backend, opCase, data);
  expect(large.ran).toContain("sum_parts");
  const expected = await forwardAndBackward(openReference("f64"), opCase, data);
  expectClose("dw", gradients.w!, expected.gradients.w!, 1e-13);
});

describe("the plain loops are those of a grouped convolution", () => {
  test.each([
    [5, 7, 3, 1, 1],
    [6, 6, 3, 2, "same"],
    [9, 8, 5, 3, 2],
  ] as const)("%i × %i, window %i, stride %i, padding %p", (h, w, k, stride, padding) => {
    const [images, c] = [3, 4];
    const [oh, ow] = [positions(h, k, stride, padding, "down"), positions(w, k, stride, padding, "down")];
    const pad = padBefore("test", [h, w], [k, k], stride, padding);
    const sizes = { images, c, h, w, oh, ow, kh: k, kw: k, stride, pad };
    const grouped = { ...sizes, o: c, groups: c };
    const weights = randomArray([c, k, k], 1);
    const [x, dy, b] = [randomArray([c, h, w, images], 2), randomArray([c, oh, ow, images], 3), randomArray([c], 4)];
    const [y, dx, dw] = [
      [0, 0],
      [0, 0],
      [0, 0],
    ].map(() => [new Float64Array(x.length), new Float64Array(x.length)]);
    const after = { scaled: 1, activation: 1 };
    depthwiseForward.reference({ x, weights, s: dy, b, y: y![0]! }, { ...sizes, ...after });
    conv2dForward.reference({ x, w: weights, s: dy, b, y: y![1]! }, { ...grouped, ...after });
    depthwiseBackwardX.reference({ weights, dy, dx: dx![0]! }, sizes);
    conv2dBackwardX.reference({ w: weights, dy, dx: dx![1]! }, grouped);
    depthwiseBackwardW.reference({ x, dy, dw: dw![0]! }, { ...sizes, splits: 1 });
    conv2dBackwardW.reference({ x, dy, dw: dw![1]! }, { ...grouped, splits: 1 });
    for (const pair of [y, dx, dw]) {
      expect(pair![0]!.some((value) => value !== 0)).toBe(true);
      expect(pair![0]).toEqual(pair![1]!);
    }
  });
});
