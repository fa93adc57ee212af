/** Activation functions and factors in the epilogues of other ops. */
import { expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { relu } from "../../../../src/engine/ops/activation.ts";
import { conv2d, type Conv2dOptions } from "../../../../src/engine/ops/conv2d.ts";
import { relu6 } from "../../../../src/engine/ops/later/activation.ts";
import { add } from "../../../../src/engine/ops/later/add.ts";
import { batchNorm, foldBatchNorm } from "../../../../src/engine/ops/later/batch_norm.ts";
import type { Activation } from "../../../../src/engine/ops/later/epilogue.ts";
import { scale as times } from "../../../../src/engine/ops/later/multiply.ts";
import { lrn } from "../../../../src/engine/ops/lrn.ts";
import { maxPool } from "../../../../src/engine/ops/pool.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import type { Tensor } from "../../../../src/engine/tensor.ts";
import { ShapeError, UsageError } from "../../../../src/errors.ts";
import { describeBackends } from "../../../support/backends.ts";
import { expectClose, randomArray } from "../../../support/data.ts";
import { seedGradient, testOnBackends, testOp, type OpCase } from "../../../support/gradcheck.ts";

/** Large enough for ReLU6's upper corner. */
const values = (shape: readonly number[], seed: number) => randomArray(shape, seed).map((value) => 4 * value);

/** As the last op, whose result is kept, and before another, so that dy is overwritten. */
const both = (title: string, inputs: OpCase["inputs"], op: OpCase["op"]): OpCase[] => [
  { title, inputs, op, values },
  { title: `${title}, then another op`, inputs, op: (given) => times(op(given), 0.5), values },
];

const conv = (title: string, [c, o, groups]: readonly [number, number, number], options: Conv2dOptions) =>
  both(title, { x: [c, 5, 4, 3], w: [o, c / groups, 3, 3], b: [o] }, ({ x, w, b }) =>
    conv2d(x!, w!, b!, { pad: 1, groups, ...options }),
  );

const running = (x: Tensor) => {
  const ofMaps = (value: number) => (x.tape as Tape).input([x.shape[0]!], new Float32Array(x.shape[0]!).fill(value));
  return { mean: ofMaps(0.3), variance: ofMaps(2) };
};

const norm = (activation: Activation, training: boolean) =>
  both(
    `batchNorm, ${activation}, ${training ? "in training" : "in use"}`,
    { x: [3, 2, 3, 5], scale: [3], shift: [3] },
    ({ x, scale, shift }) => batchNorm(x!, { scale, shift, ...running(x!) }, { training, activation }),
  );

const LRN = { n: 5, k: 2, alpha: 0.1, beta: 0.75 };

/** An activated convolution, and ops that pass their gradients through its activation function, or don't. */
const before = (title: string, activation: Activation, after: (y: Tensor) => Tensor): OpCase => ({
  title,
  inputs: { x: [2, 6, 5, 3], w: [7, 2, 3, 3], b: [7] },
  op: ({ x, w, b }) => after(conv2d(x!, w!, b!, { pad: 1, activation })),
  values,
});
const pooled = (y: Tensor) => maxPool(y, { window: 3, stride: 2 });

testOp(
  "epilogues",
  [
    ...conv("conv2d, ReLU", [2, 3, 1], { activation: "relu" }),
    ...conv("conv2d, groups, ReLU6", [4, 4, 2], { activation: "relu6" }),
    ...conv("depthwise, ReLU6", [3, 3, 3], { activation: "relu6" }),
    ...norm("relu", true),
    ...norm("relu6", true),
    ...norm("relu", false),
    ...both("add, ReLU", { a: [3, 7], b: [3, 7] }, ({ a, b }) => add(a!, b!, { activation: "relu" })),
    ...both("add, ReLU6", { a: [67], b: [67] }, ({ a, b }) => add(a!, b!, { activation: "relu6" })),
    before("conv2d, ReLU, then LRN", "relu", (y) => lrn(y, LRN)),
    before("conv2d, ReLU6, then LRN", "relu6", (y) => lrn(y, LRN)),
    before("conv2d, ReLU, then max-pooling", "relu", pooled),
    before("conv2d, ReLU6, then max-pooling", "relu6", pooled),
    before("conv2d, ReLU, then both", "relu", (y) => add(pooled(y), pooled(lrn(y, LRN)))),
    before("conv2d, ReLU, then max-pooling and another op", "relu", (y) => add(pooled(y), pooled(times(y, 2)))),
  ],
  2e-5,
);

// By Winograd's filtering, on GPUs and on the CPU.
testOnBackends(
  "epilogues by Winograd",
  [3, 5].map((side) => ({
    title: `${side} × ${side}, ReLU`,
    inputs: { x: [32, 6, 8, 16], w: [33, 32, side, side], b: [33] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: side >> 1, activation: "relu" }),
  })),
  2e-5,
);

const shapes = [
  ["a convolution", { x: [5, 6, 7, 3], w: [7, 5, 3, 3] }, 1],
  ["depthwise", { x: [5, 6, 7, 3], w: [5, 1, 3, 3] }, 5],
  ["by Winograd, 3 × 3", { x: [32, 6, 5, 16], w: [34, 32, 3, 3] }, 1],
  ["by Winograd, 5 × 5", { x: [32, 7, 8, 16], w: [32, 32, 5, 5] }, 1],
] as const;

describeBackends("folded batch normalisation", ({ open }) => {
  test.each(shapes)("%s: as a pass of its own", async (_, { x: ofX, w: ofW }, groups) => {
    const tape = new Tape(await open(), { record: false });
    const maps = [ofW[0]];
    const input = (shape: readonly number[], seed: number) => tape.input(shape, randomArray(shape, seed));
    const [x, w, b, scale, shift, mean] = [input(ofX, 1), ...[ofW, maps, maps, maps, maps].map((s, i) => input(s, i))];
    const variance = tape.input(
      maps,
      randomArray(maps, 9).map((value) => 1.5 + value),
    );
    const tensors = { scale, shift, mean: mean!, variance };
    const folded = foldBatchNorm(tape, b, tensors, 0.01);
    const options = { pad: 1, groups };
    const fused = conv2d(x, w!, folded.shift, { ...options, scale: folded.scale, activation: "relu6" });
    const plain = relu6(batchNorm(conv2d(x, w!, b, options), tensors, { training: false, epsilon: 0.01 }));
    expectClose("y", await fused.read(), await plain.read(), 1e-5);
    tape.release();
  });
});

test("a gradient that is kept is that of the activated result", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([3], Float32Array.of(-1, 2, 3), { requiresGrad: true });
  const zeros = tape.input([3], new Float32Array(3));
  const y = add(x, zeros, { activation: "relu" }).keep();
  tape.backward(seedGradient(y, Float32Array.of(5, 6, 7)));
  expect(await y.grad!.read()).toEqual(Float32Array.of(5, 6, 7));
  expect(await x.grad!.read()).toEqual(Float32Array.of(0, 6, 7));
});

test("gradients pass through the activation function once, in the op after it where that can do so", () => {
  const count = (after: (y: Tensor) => Tensor, isKept = false) => {
    let passes = 0;
    const reference = openReference();
    const backend: Backend = {
      ...reference,
      run(kernel, buffers, uniforms) {
        if (kernel.name === "epilogue_backward") passes++;
        reference.run(kernel, buffers, uniforms);
      },
    };
    const tape = new Tape(backend);
    const input = (...shape: number[]) => tape.input(shape, randomArray(shape, 1), { requiresGrad: true });
    const y = conv2d(input(2, 6, 5, 3), input(7, 2, 3, 3), undefined, { pad: 1, activation: "relu" });
    if (isKept) y.keep();
    const last = after(y);
    tape.backward(last, { gradient: tape.input(last.shape, randomArray(last.shape, 2)) });
    return passes;
  };
  expect(count((y) => lrn(y, LRN))).toBe(0);
  expect(count(pooled)).toBe(0);
  expect(count((y) => add(pooled(y), pooled(lrn(y, LRN))))).toBe(0);
  expect(count((y) => times(y, 2))).toBe(1);
  expect(count((y) => add(lrn(y, LRN), times(y, 2)))).toBe(1);
  expect(count((y) => add(times(y, 2), lrn(y, LRN)))).toBe(1);
  expect(count(pooled, true)).toBe(1);
  expect(count((y) => lrn(y, LRN), true)).toBe(1);
});

test("a gradient that is kept is whole also where the op after it could pass it through", async () => {
  const tape = new Tape(openReference());
  const x = tape.input([1, 2, 2, 1], Float32Array.of(-1, -2, -3, -4), { requiresGrad: true });
  const y = add(x, tape.input([1, 2, 2, 1], new Float32Array(4)), { activation: "relu" }).keep();
  tape.backward(maxPool(y, { window: 2, stride: 2 }), { gradient: tape.input([1, 1, 1, 1], Float32Array.of(5)) });
  expect(await y.grad!.read()).toEqual(Float32Array.of(5, 0, 0, 0));
  expect(await x.grad!.read()).toEqual(new Float32Array(4));
});

test("the same bytes as an op of its own", async () => {
  const tape = new Tape(openReference());
  const [x, w, b] = [[3, 5, 5, 2], [4, 3, 3, 3], [4]].map((shape, i) => tape.input(shape, randomArray(shape, i + 1)));
  const fused = conv2d(x!, w!, b!, { activation: "relu" });
  expect(await fused.read()).toEqual(await relu(conv2d(x!, w!, b!)).read());
});

test("what is refused", () => {
  const tape = new Tape(openReference());
  const input = (...shape: number[]) => tape.input(shape, randomArray(shape, 1));
  const run = (options: Conv2dOptions) => conv2d(input(3, 5, 5, 2), input(4, 3, 3, 3), undefined, options);
  const gelu = () => run({ activation: "gelu" as "relu" });
  expect(gelu).toThrow(new UsageError('conv2d: activation is "gelu", must be relu or relu6'));
  const uneven = () => run({ scale: input(3) });
  expect(uneven).toThrow(new ShapeError("conv2d: scale 3, 4 filters: need a number for each"));
  const recorded = () => run({ scale: input(4) });
  const message = "conv2d: a scale has no gradient: use a tape made with { record: false }";
  expect(recorded).toThrow(new UsageError(message));
});
