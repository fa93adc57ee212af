/** Filters that whiten: what they give on the images they were made of. */
import { describe, expect, test } from "bun:test";
import { centreView } from "../../src/data/augmentation.ts";
import { createLoader, RecordCache } from "../../src/data/loader.ts";
import { shapes } from "../../src/data/shapes.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { conv, divide, fc, relu, residual, type Layer } from "../../src/net/layers/index.ts";
import { Model } from "../../src/net/model.ts";
import { networkInput, uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { whiten } from "../../src/training/later/whiten.ts";
import { expectClose } from "../support/data.ts";

const backend = openReference("f32");
const side = 8;
const mean = uploadMean(backend, side, new Float32Array(side * side * 3).fill(110));

function modelOf(...layers: readonly Layer[]): Model {
  const all = [divide(64), ...layers, fc("fc", 10, { sigma: 0.01 })];
  const network: Network = { ...small, crop: side, record: side, layers: () => all };
  const model = new Model(network, backend);
  model.initialise(0);
  return model;
}

async function whitened(model: Model) {
  const { train } = shapes({ train: 40, val: 10, size: side });
  await whiten(model, mean, { dataset: train, cache: new RecordCache(train, side) });
  return train;
}

test("outputs of unit variance, uncorrelated, and their negatives", async () => {
  const model = modelOf(conv("whiten", 8, 2, { stride: 2, sigma: "whiten", bias: false }), relu());
  const train = await whitened(model);
  const [weight] = model.parameters;
  expect(weight!.requiresGrad).toBe(false);
  const values = (await weight!.read()) as Float32Array;
  expect(values.subarray(4 * 12)).toEqual(values.subarray(0, 4 * 12).map((value) => -value));
  for await (const { pixels, indices } of createLoader(train, { batch: 40, recordSize: side })) {
    const tape = new Tape(backend, { record: false });
    const views = centreView(indices.length, side, side);
    const y = model.outputs(networkInput(tape, model, mean, { pixels, views }), undefined, 2).at(-1)!;
    const numbers = (await y.read()) as Float32Array;
    const plane = numbers.length / 8;
    const moment = (p: number, q: number) =>
      numbers.subarray(p * plane, (p + 1) * plane).reduce((sum, value, i) => sum + value * numbers[q * plane + i]!, 0) /
      plane;
    const found = [0, 1, 2, 3].flatMap((p) => [0, 1, 2, 3].map((q) => moment(p, q)));
    // λ / (λ + ε), and the eigenvalues λ of these images are far above ε.
    expectClose(
      "moments",
      found,
      [0, 1, 2, 3].flatMap((p) => [0, 1, 2, 3].map((q) => (p === q ? 1 : 0))),
      0.05,
    );
    tape.release();
  }
});

describe("refused", () => {
  test.each<[string, Layer, string]>([
    [
      "more filters than directions",
      conv("a", 26, 2, { sigma: "whiten" }),
      "conv a has 26 filters: to whiten, it must",
    ],
    ["an odd number", conv("a", 3, 2, { sigma: "whiten" }), "even number of them, at most 24: two for each of the 12"],
    [
      "in a block",
      residual("b", [conv("a", 4, 1, { sigma: "whiten" })], [conv("c", 4, 1, { sigma: 1 })]),
      "conv a is in a block",
    ],
  ])("%s", async (_, layer, message) => {
    await expect(whitened(modelOf(layer))).rejects.toThrow(message);
  });

  test("filters in groups", () => {
    expect(() => conv("a", 6, 2, { groups: 3, sigma: "whiten" })).toThrow("conv a: filters in 3 groups can't whiten");
  });
});

test("filters that begin as the identity pass on the maps", async () => {
  const model = modelOf(conv("a", 5, 3, { pad: 1, sigma: "identity", bias: false }));
  const values = [...(await model.parameters[0]!.read())];
  const own = Array.from({ length: 3 * 27 }, (_, i) => (i === 4 || i === 27 + 9 + 4 || i === 54 + 18 + 4 ? 1 : 0));
  expect(values.slice(0, 81)).toEqual(own);
  // The other two as by fan-in: uniform in ±1/√27.
  expect(Math.max(...values.slice(81).map(Math.abs))).toBeWithin(0.15, 1 / Math.sqrt(27));
});
