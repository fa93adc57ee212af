/** NaN stays NaN: a training that has diverged must not look well. What is expected here is what PyTorch 2.15 gives. */
import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../src/engine/backend.ts";
import { relu, tanh } from "../../../src/engine/ops/activation.ts";
import { gelu, geluTanh, hardSwish, relu6, sigmoid, silu } from "../../../src/engine/ops/later/activation.ts";
import { dropout } from "../../../src/engine/ops/dropout.ts";
import { lrn } from "../../../src/engine/ops/lrn.ts";
import { mapNorm } from "../../../src/engine/ops/map_norm.ts";
import { averagePool, maxPool } from "../../../src/engine/ops/pool.ts";
import { softmaxCrossEntropy } from "../../../src/engine/ops/softmax_cross_entropy.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import type { Tensor } from "../../../src/engine/tensor.ts";
import { describeBackends } from "../../support/backends.ts";
import { seedGradient } from "../../support/gradcheck.ts";

/** Some number. */
const ANY = undefined;

interface Case {
  readonly title: string;
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly op: (x: Tensor) => Tensor;
  readonly y: readonly number[];
  /** With a gradient of y of 1, 2, 3 … */
  readonly dx?: readonly (number | typeof ANY)[];
}

const [K, ALPHA, BETA] = [2, 0.1, 0.75];

const cases: Case[] = [
  {
    title: "relu; its gradient passes where y is NaN",
    shape: [9],
    x: [1, NaN, -1, -NaN, 0, -0, Infinity, -Infinity, NaN],
    op: relu,
    y: [1, NaN, 0, NaN, 0, 0, Infinity, 0, NaN],
    dx: [1, 2, 0, 4, 0, 0, 7, 0, 9],
  },
  {
    title: "tanh",
    shape: [5],
    x: [0, NaN, Infinity, -Infinity, NaN],
    op: tanh,
    y: [0, NaN, 1, -1, NaN],
    dx: [1, NaN, 0, 0, NaN],
  },
  {
    title: "relu6; its gradient passes where x is NaN",
    shape: [9],
    x: [1, NaN, -1, -NaN, 0, 6, Infinity, -Infinity, NaN],
    op: relu6,
    y: [1, NaN, 0, NaN, 0, 6, 6, 0, NaN],
    dx: [1, 2, 0, 4, 0, 0, 0, 0, 9],
  },
  {
    title: "sigmoid",
    shape: [5],
    x: [NaN, Infinity, -Infinity, 0, NaN],
    op: sigmoid,
    y: [NaN, 1, 0, 0.5, NaN],
    dx: [NaN, 0, 0, 1, NaN],
  },
  ...Object.entries({ silu, gelu, geluTanh, hardSwish }).map(([title, op]) => ({
    ...{ title, op, shape: [6] },
    x: [NaN, 100, -NaN, -100, 0, NaN],
    y: [NaN, 100, NaN, 0, 0, NaN],
    dx: [NaN, 2, NaN, ANY, ANY, NaN],
  })),
  {
    title: "maxPool: the last one that is NaN is the largest, and has the gradient",
    shape: [1, 2, 6, 1],
    // prettier-ignore
    x: [NaN, 1,  5, NaN,  -Infinity, Infinity,
        2,   3,  NaN, 4,  1,         NaN],
    op: (x) => maxPool(x, { window: 2, stride: 2 }),
    y: [NaN, NaN, NaN],
    dx: [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3],
  },
  {
    title: "averagePool",
    shape: [1, 1, 4, 1],
    x: [NaN, 1, 2, 3],
    op: (x) => averagePool(x, { window: 1, stride: 1 }),
    y: [NaN, 1, 2, 3],
  },
  {
    // A probability near 0: what is kept would be 100,000.
    title: "dropout, of what is dropped too; and of its gradient",
    shape: [6],
    x: [1, NaN, -1, 0, NaN, NaN],
    op: (x) => dropout(x, { keep: 1e-5, key: [1, 2] }),
    y: [0, NaN, 0, 0, NaN, NaN],
    dx: [0, 0, 0, 0, 0, 0],
  },
  {
    title: "lrn, of the maps within reach",
    shape: [6, 1, 1, 1],
    x: [1, 0, NaN, 0, 1, 0],
    op: (x) => lrn(x, { n: 3, k: K, alpha: ALPHA, beta: BETA }),
    y: [K ** -BETA * (1 + ALPHA / K) ** -BETA, NaN, NaN, NaN, K ** -BETA * (1 + ALPHA / K) ** -BETA, 0],
    dx: [NaN, NaN, NaN, NaN, NaN, ANY],
  },
  {
    title: "mapNorm, of the pixels within reach",
    shape: [1, 1, 5, 1],
    x: [0, NaN, 0, 0, 0],
    op: (x) => mapNorm(x, { size: 3, k: K, alpha: ALPHA, beta: BETA }),
    y: [NaN, NaN, NaN, 0, 0],
    dx: [NaN, NaN, NaN, NaN, ANY],
  },
];

function stays(open: () => Promise<Backend>): void {
  test.each(cases)("$title", async ({ shape, x: given, op, y: expected, dx }) => {
    const tape = new Tape(await open());
    const x = tape.input(shape, Float32Array.from(given), { requiresGrad: true });
    const y = op(x).keep();
    const result = [...(await y.read())];
    expect(result.map(Number.isNaN)).toEqual(expected.map(Number.isNaN));
    expected.forEach((value, i) => !Number.isNaN(value) && expect(result[i]!).toBeCloseTo(value, 5));
    if (dx) {
      tape.backward(
        seedGradient(
          y,
          Float32Array.from(expected, (_, i) => i + 1),
        ),
      );
      const gradient = [...(await x.grad!.read())];
      expect(gradient.map((value, i) => (dx[i] === ANY && !Number.isNaN(value) ? ANY : value))).toEqual([...dx]);
    }
    tape.release();
  });

  test("dropout of a gradient", async () => {
    const tape = new Tape(await open());
    const x = tape.input([4], new Float32Array(4).fill(1), { requiresGrad: true });
    tape.backward(seedGradient(dropout(x, { keep: 1e-5, key: [1, 2] }), Float32Array.of(1, NaN, 2, 3)));
    expect([...(await x.grad!.read())]).toEqual([0, NaN, 0, 0]);
    tape.release();
  });

  test.each([
    // Labels are 1. Of classes that are NaN the first one comes first.
    { title: "the label's", logits: [0, NaN, 2], rank: 0 },
    { title: "another's, before it", logits: [NaN, 9, 2], rank: 1 },
    { title: "another's, after it", logits: [0, 9, NaN], rank: 1 },
    { title: "the label's and one before it", logits: [NaN, NaN, 2], rank: 1 },
    { title: "all", logits: [NaN, NaN, NaN], rank: 1 },
  ])("softmaxCrossEntropy, a logit that is NaN: $title", async ({ logits, rank }) => {
    const tape = new Tape(await open());
    // The second image has none.
    const values = Float32Array.from(logits.flatMap((value) => [value, 1]));
    const z = tape.input([3, 2], values, { requiresGrad: true });
    const { loss, losses, ranks } = softmaxCrossEntropy(z, tape.input([2], Uint32Array.of(1, 1)));
    tape.backward(loss.keep());
    expect((await loss.read())[0]).toBeNaN();
    const [first, second] = await losses.read();
    expect(first).toBeNaN();
    expect(second).toBeCloseTo(Math.log(3), 5);
    expect([...(await ranks.read())]).toEqual([rank, 1]);
    expect([...(await z.grad!.read())].map(Number.isNaN)).toEqual([true, false, true, false, true, false]);
    tape.release();
  });
}

describe("NaN on reference", () => stays(async () => openReference()));
describeBackends("NaN", ({ open }) => stays(open));
