/** Averages of the weights, with steps worked out by hand in float64. */
import { expect, test } from "bun:test";
import { openReference } from "../../src/engine/reference.ts";
import { Tensor } from "../../src/engine/tensor.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { batchNorm, fc } from "../../src/net/layers/index.ts";
import { Model } from "../../src/net/model.ts";
import { createOptimizer } from "../../src/net/optimizers.ts";
import type { Average } from "../../src/net/later/average.ts";
import type { Network } from "../../src/net/recipe.ts";
import { expectClose } from "../support/data.ts";

const network: Network = {
  ...small,
  crop: 1,
  layers: () => [batchNorm("norm"), fc("fc", 2, { sigma: 1 })],
};

/** A step moves every parameter by −1 from 10, and running means by 2 from 0. */
async function start(average: Average) {
  const backend = openReference("f64");
  const model = new Model(network, backend, 2);
  const settings = { momentum: 0, decay: 0, biasRate: 1, biasDecay: false };
  const optimizer = createOptimizer(model, { ...settings, average });
  for (const { buffer, size } of model.parameters) backend.write(buffer, new Float64Array(size).fill(10));
  model.state[0]!.reset();
  let mean = 0;
  return {
    optimizer,
    step(done: number) {
      for (const parameter of model.parameters) {
        parameter.grad = new Tensor(backend, parameter.shape, backend.allocate("f32", parameter.size));
        backend.write(parameter.grad.buffer, new Float64Array(parameter.size).fill(1));
      }
      backend.write(model.state[0]!.buffer, new Float64Array(3).fill((mean += 2)));
      optimizer.step(() => 1, done);
    },
    async values() {
      const [bias, running] = await Promise.all([model.parameters.at(-1)!.read(), model.state[0]!.read()]);
      return [bias[0]!, running[0]!];
    },
  };
}

test("ema: begins at the weights, moves by ever smaller shares, and leaves the weights as they are", async () => {
  const { optimizer, step, values } = await start({ kind: "ema", decay: 0.2 });
  for (let i = 0; i < 3; i++) step(0);
  expect(await values()).toEqual([7, 6]);
  await optimizer.swap!();
  // Decays of 2/11, 0.2 and 0.2; the first average is that before the first step, of statistics too.
  const average = (first: number, values: readonly number[]) =>
    values.reduce((sum, value, i) => sum + (1 - [2 / 11, 0.2, 0.2][i]!) * (value - sum), first);
  expectClose("averages", await values(), [average(10, [9, 8, 7]), average(2, [2, 4, 6])], 1e-12);
  await optimizer.swap!();
  expect(await values()).toEqual([7, 6]);
});

test("ema: before the first step, the weights stand for their averages", async () => {
  const { optimizer, values } = await start({ kind: "ema", decay: 0.2 });
  await optimizer.swap!();
  expect(await values()).toEqual([10, 0]);
});

test("lookahead: every few steps the weights become the average, and so they end", async () => {
  const { optimizer, step, values } = await start({ kind: "lookahead", decay: 0.8, every: 2 });
  expect(optimizer.swap).toBeUndefined();
  step(0.25);
  expect(await values()).toEqual([9, 2]);
  step(0.5);
  // 0.8 · 0.5³ = 0.1
  expectClose("weights", await values(), [10 + 0.9 * (8 - 10), 2 + 0.9 * (4 - 2)], 1e-12);
  step(0.75);
  expectClose("weights", await values(), [8.2 - 1, 6], 1e-12);
  step(1);
  expectClose("weights", await values(), [8.2, 3.8], 1e-12);
});
