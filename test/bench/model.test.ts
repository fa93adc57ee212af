/** The model of a training step: kernels as they are queued, and sums worked out by hand. */
import { describe, expect, test } from "bun:test";
import { callsOf } from "../../bench/model/calls.ts";
import { CHANGES, priced } from "../../bench/model/changes.ts";
import { costOf } from "../../bench/model/costs.ts";
import { REACHED, type ModelDevice } from "../../bench/model/devices.ts";
import { boundOf, judge, type Roofs } from "../../bench/model/roofs.ts";
import { gainOf, stepMs, timeOf } from "../../bench/model/step.ts";
import { modelOf } from "../../bench/model/tables.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { conv, fc, lrn, maxPool, relu } from "../../src/net/layers/index.ts";
import type { Network } from "../../src/net/recipe.ts";

/** 3 × 6 × 6 → conv 4 × 4 × 4 and ReLU in one → 5 classes. */
const tiny: Network = {
  ...small,
  ...{ name: "tiny", crop: 6, record: 8, classes: 5 },
  layers: (classes) => [conv("conv1", 4, 3, { sigma: 0.1 }), relu(), fc("fc2", classes, { sigma: 0.1 })],
};
const IMAGES = 32;

/** 1 flop and 1 byte a ns, at what is reached of them; kernels start at once. */
const device: ModelDevice = {
  ...{ name: "Test", source: "nobody", parallelWorkgroups: 1, launchMs: 0 },
  flopsPerSecond: 1e9 / REACHED.arithmetic,
  bytesPerSecond: 1e9 / REACHED.memory,
};

describe("the kernels of a step", () => {
  const convolution = 2 * 4 * 16 * 27 * IMAGES;
  const product = 2 * 64 * 5 * IMAGES;
  const [x, y, z] = [3 * 36 * IMAGES, 64 * IMAGES, 5 * IMAGES];
  const [w1, w2] = [4 * 27, 64 * 5];

  test("in order, with their arithmetic and their traffic", async () => {
    const step = priced(await callsOf(tiny, IMAGES, device));
    const of = (name: string) =>
      step.filter(({ call }) => call.kernel.name === name).map(({ flop, bytes }) => [flop, bytes]);
    expect(step.map(({ call: { part, kernel } }) => `${part}: ${kernel.name}`).slice(0, 3)).toEqual([
      "augment: augment",
      "conv1 forward: conv2d_forward",
      "fc2 forward: linear_forward",
    ]);
    expect(of("conv2d_forward")).toEqual([[convolution, 4 * (x + w1 + 4 + y)]]);
    expect(of("linear_forward")).toEqual([[product, 4 * (y + w2 + 5 + z)]]);
    expect(of("linear_backward_w")).toEqual([[product, 4 * (y + z + w2)]]);
    // It overwrites dx, though it could add to it.
    expect(of("linear_backward_x")).toEqual([[product, 4 * (w2 + z + y)]]);
    // y and dy are read, dy is written.
    expect(of("epilogue_backward")).toEqual([[0, 4 * 3 * y]]);
    expect(of("conv2d_backward_w")).toEqual([[convolution, 4 * (x + y + w1)]]);
    // The images need no gradient.
    expect(of("conv2d_backward_x")).toEqual([]);
    // w, v and dw are read, w and v are written; twice, since biases are updated too.
    expect(of("sgd")).toEqual([w1, 4, w2, 5].map((weights) => [0, 20 * weights]));
    // Of each record, the bytes of its crop; views; the mean image; x.
    expect(of("augment")).toEqual([[0, x + 4 * (IMAGES * 32 + 8 * 8 * 3 + x)]]);
  });

  test("a step takes the sum of them, each as long as its limit", async () => {
    const step = priced(await callsOf(tiny, IMAGES, device));
    const ns = step.reduce((sum, { flop, bytes }) => sum + Math.max(flop, bytes), 0);
    expect(stepMs(step, device)).toBeCloseTo(ns / 1e6, 9);
    expect(stepMs(step, { ...device, launchMs: 1 })).toBeCloseTo(ns / 1e6 + step.length, 9);
  });

  test("GPUs with more cores split sums further", async () => {
    const sums = async (parallelWorkgroups: number) =>
      (await callsOf(small, 128, { parallelWorkgroups })).filter(({ kernel }) => kernel.name === "sum_parts").length;
    expect(await sums(264)).toBeGreaterThan(await sums(1));
  });
});

describe("what changes would gain", () => {
  const gain = async (name: RegExp, network: Network) => {
    const step = priced(await callsOf(network, IMAGES, device));
    return (
      gainOf(
        CHANGES.find((change) => name.test(change.name))!,
        step,
        device,
      ) *
      stepMs(step, device) *
      1e6
    );
  };

  test("bias gradients in the weight gradients: their own kernels", async () => {
    const [y, z] = [64 * IMAGES, 5 * IMAGES];
    expect(await gain(/^bias gradients/, tiny)).toBeCloseTo(4 * (y + 4 + z + 5), 3);
  });

  test("ReLU's gradient: three times y, and one in the kernel before", async () => {
    // Its dy comes from linear_backward_x, whose arithmetic takes longer than 4 · (w + dy + dx + y) bytes.
    const bytes = 4 * (64 * 5 + 5 * IMAGES + 2 * 64 * IMAGES);
    const arithmetic = 2 * 64 * 5 * IMAGES;
    const before = Math.max(arithmetic, bytes - 4 * 64 * IMAGES);
    expect(await gain(/^ReLU's gradient/, tiny)).toBeCloseTo(
      12 * 64 * IMAGES + before - Math.max(arithmetic, bytes),
      3,
    );
  });

  test("LRN and max-pooling together: what lies between them is neither written nor read", async () => {
    const normed: Network = {
      ...tiny,
      layers: (classes) => [
        conv("conv1", 4, 3, { sigma: 0.1 }),
        lrn({ n: 5, k: 2, alpha: 0.01, beta: 0.75 }),
        maxPool(3, 1),
        fc("fc2", classes, { sigma: 0.1 }),
      ],
    };
    // Memory is so slow that arithmetic takes no time.
    const slow = { ...device, flopsPerSecond: 1e15 };
    const step = priced(await callsOf(normed, IMAGES, slow, (call) => timeOf(costOf(call), slow).ms));
    expect(step.map(({ call }) => call.kernel.name)).toContain("lrn_max_pool_forward");
    const change = CHANGES.find(({ name }) => name.startsWith("LRN and max-pooling"))!;
    const apart = stepMs(
      change.apply(step, () => 0),
      slow,
    );
    const saved = apart - stepMs(step, slow);
    expect(saved * 1e6).toBeCloseTo(2 * 2 * 4 * (64 * IMAGES), 3);
    expect(gainOf(change, step, slow)).toBeCloseTo(saved / apart, 9);
    // Where arithmetic counts, they are apart: windows overlap.
    const few = { ...device, bytesPerSecond: 1e15 };
    const kernels = (await callsOf(normed, IMAGES, few, (call) => timeOf(costOf(call), few).ms)).map(
      ({ kernel }) => kernel.name,
    );
    expect(kernels).toContain("lrn_forward");
    expect(kernels).not.toContain("lrn_max_pool_forward");
  });

  test("what there is nothing of gains nothing; what is done already is what it has saved", async () => {
    for (const name of [/^LRN/, /^weight gradients by Winograd/, /^Winograd's/, /^gradients of residual/])
      expect(await gain(name, tiny)).toBe(0);
    const step = priced(await callsOf(tiny, IMAGES, device));
    const done = CHANGES.find(({ isDone }) => isDone)!;
    expect(gainOf(done, step, device)).toBeCloseTo(
      (8 * 64 * IMAGES) / (stepMs(step, device) * 1e6 + 8 * 64 * IMAGES),
      9,
    );
  });
});

describe("what limits a kernel", () => {
  const roofs: Roofs = { flopsPerSecond: 1e12, bytesPerSecond: 1e11, launchMs: 0.01 };

  test("the limit that takes longest", () => {
    expect(boundOf({ flop: 1e9, bytes: 1e6 }, roofs)).toEqual({ limit: "arithmetic", ms: 1 });
    expect(boundOf({ flop: 1e9, bytes: 2e8 }, roofs)).toEqual({ limit: "memory", ms: 2 });
    expect(boundOf({ flop: 1e6, bytes: 1e5 }, roofs)).toEqual({ limit: "launch", ms: 0.01 });
    expect(boundOf({ flop: 1e6, bytes: 1e5 }, { ...roofs, hostMs: 0.02 })).toEqual({ limit: "host", ms: 0.02 });
  });

  test("a time far above it has another cause", () => {
    expect(judge({ flop: 1e9, bytes: 0 }, roofs, 2)).toEqual({
      limit: "arithmetic",
      ms: 1,
      reached: 0.5,
      explains: true,
    });
    expect(judge({ flop: 1e9, bytes: 0 }, roofs, 8)).toMatchObject({ reached: 0.125, explains: false });
  });

  test("the model: launched first, then at the rates that are reached", () => {
    const slow = { ...device, launchMs: 0.5 };
    expect(timeOf({ flop: 2e6, bytes: 1e6 }, slow)).toEqual({ ms: 2.5, limit: "arithmetic" });
    expect(timeOf({ flop: 1e5, bytes: 1e5 }, slow)).toEqual({ ms: 0.6, limit: "launch" });
  });
});

test("as a table, labelled a model", async () => {
  const text = await modelOf(tiny, IMAGES, "layers");
  expect(text).toContain("A model, not a measurement.");
  expect(text).toMatch(/\| conv1 forward: conv2d_forward +\| 1 +\|/);
  expect(text).toMatch(/\| \*\*step\*\* +\| \d+ +\|/);
});
