/** The optimiser's arithmetic on two parameters, with steps worked out by hand in float64. */
import { expect, test } from "bun:test";
import { openReference } from "../../src/engine/reference.ts";
import { Parameter } from "../../src/engine/parameter.ts";
import { Tensor } from "../../src/engine/tensor.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { Nesterov } from "../../src/net/later/nesterov.ts";
import { fc, relu, type Layer } from "../../src/net/layers/index.ts";
import { Model } from "../../src/net/model.ts";
import type { OptimizerSettings } from "../../src/net/optimizer.ts";
import type { Network } from "../../src/net/recipe.ts";
import { Sgd } from "../../src/net/sgd.ts";

const network = (layers: readonly Layer[]): Network => ({
  ...small,
  name: "two layers",
  crop: 1,
  layers: () => layers,
});

/** All weights 1, all gradients 2, all velocities as they start; one step for each rate. */
async function step(settings: OptimizerSettings, rateOf: (layer: string) => number, steps = 1, Kind = Sgd) {
  const backend = openReference("f64");
  const layers = [fc("first", 2, { sigma: 1, decay: 0.5 }), relu(), fc("second", 2, { sigma: 1 })];
  const model = new Model(network(layers), backend, 2);
  for (const { buffer, size } of model.parameters) backend.write(buffer, new Float64Array(size).fill(1));
  const sgd = new Kind(model, settings);
  for (let i = 0; i < steps; i++) {
    for (const parameter of model.parameters) {
      parameter.grad = new Tensor(backend, parameter.shape, backend.allocate("f32", parameter.size));
      backend.write(parameter.grad.buffer, new Float64Array(parameter.size).fill(2));
    }
    sgd.step(rateOf);
    expect(model.parameters.every(({ grad }) => grad === undefined)).toBe(true);
  }
  const first: Record<string, number> = {};
  for (const parameter of model.parameters) {
    const values = await parameter.read();
    // Every element was treated alike.
    expect(new Set(values).size).toBe(1);
    first[parameter.name] = values[0]!;
  }
  return first;
}

const settings: OptimizerSettings = { momentum: 0.9, decay: 0.1, biasRate: 2, biasDecay: false };

test("a step: decay of the layer or of all, biases faster and without decay", async () => {
  const weights = await step(settings, () => 0.01);
  // v = −decay · rate · 1 − rate · 2
  expect(weights["first.weight"]).toBeCloseTo(1 - 0.5 * 0.01 - 0.02, 12);
  expect(weights["second.weight"]).toBeCloseTo(1 - 0.1 * 0.01 - 0.02, 12);
  expect(weights["first.bias"]).toBeCloseTo(1 - 0.04, 12);
  expect(weights["second.bias"]).toBeCloseTo(1 - 0.04, 12);
});

test("groups: multiples of rate and decay, the last one given counts; biases have theirs besides", async () => {
  const groups = [
    { of: "*", rate: 3 },
    { of: "first, biases", rate: 0.5, decay: 2 },
    { of: "second.weight", decay: 0 },
  ];
  const weights = await step({ ...settings, biasDecay: true, groups }, () => 0.01);
  expect(weights["first.weight"]).toBeCloseTo(1 - 0.5 * 2 * 0.005 - 0.01, 12);
  expect(weights["first.bias"]).toBeCloseTo(1 - 0.1 * 2 * 0.01 - 0.02, 12);
  expect(weights["second.weight"]).toBeCloseTo(1 - 0.06, 12);
  expect(weights["second.bias"]).toBeCloseTo(1 - 0.1 * 2 * 0.01 - 0.02, 12);
});

test("a group of no parameters is refused, as are negative multiples", async () => {
  const none = step({ ...settings, groups: [{ of: "secnd", rate: 2 }] }, () => 0.01);
  await expect(none).rejects.toThrow(
    'Sgd: two layers has no parameters "secnd"; did you mean "second"?; there are those of first, second',
  );
  const negative = step({ ...settings, groups: [{ of: "first", decay: -1 }] }, () => 0.01);
  await expect(negative).rejects.toThrow("Sgd: decay is -1, must be a finite number, at least 0");
});

test("biases decay too where the recipe says so, at their own rate", async () => {
  const weights = await step({ ...settings, biasDecay: true }, () => 0.01);
  expect(weights["second.bias"]).toBeCloseTo(1 - 0.1 * 0.02 - 0.04, 12);
});

test("a second step has momentum", async () => {
  const weights = await step(settings, () => 0.01, 2);
  // v₁ = −0.021, w₁ = 0.979; v₂ = 0.9 v₁ − 0.1 · 0.01 · w₁ − 0.02
  expect(weights["second.weight"]).toBeCloseTo(0.979 + 0.9 * -0.021 - 0.001 * 0.979 - 0.02, 12);
  expect(weights["second.bias"]).toBeCloseTo(0.96 + 0.9 * -0.04 - 0.04, 12);
});

test("Nesterov looks a step ahead", async () => {
  const weights = await step(settings, () => 0.01, 2, Nesterov);
  // v₁ = −0.04, w₁ = 1 + 0.9 v₁ − 0.04; v₂ = 0.9 v₁ − 0.04, w₂ = w₁ + 0.9 v₂ − 0.04
  const w1 = 1 + 0.9 * -0.04 - 0.04;
  expect(weights["second.bias"]).toBeCloseTo(w1 + 0.9 * (0.9 * -0.04 - 0.04) - 0.04, 12);
});

test("a layer with the rate 0 is frozen, weights and biases, momentum or not", async () => {
  const weights = await step(settings, (layer) => (layer === "first" ? 0 : 0.01), 2);
  expect(weights["first.weight"]).toBe(1);
  expect(weights["first.bias"]).toBe(1);
  expect(weights["second.bias"]).toBeLessThan(1);
});

test("parameters that belong to no model, and one rate for all: biases are those called so", async () => {
  const backend = openReference("f64");
  const made = ["fc.weight", "fc.bias"].map((name) => new Parameter(backend, name, [2], { init: { constant: 1 } }));
  const sgd = new Sgd(made, { decay: 0.1, biasRate: 2 });
  for (const parameter of made) {
    parameter.grad = new Tensor(backend, [2], backend.allocate("f32", 2));
    backend.write(parameter.grad.buffer, Float64Array.of(2, 2));
  }
  sgd.step(0.01);
  const [weight, bias] = await Promise.all(made.map((parameter) => parameter.read()));
  expect(weight![0]).toBeCloseTo(1 - 0.1 * 0.01 - 0.02, 12);
  expect(bias![0]).toBeCloseTo(1 - 0.04, 12);
  expect(made.every(({ grad }) => grad === undefined)).toBe(true);
});
