/** Training steps on real backends: nothing leaks, a batch can be memorised. */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { WgpuBackend } from "../../src/devices/wgpu/backend.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { openReference } from "../../src/engine/reference.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { conv, fc, maxPool, relu } from "../../src/net/layers/index.ts";
import { MODERN_AUGMENTATION, type Network } from "../../src/net/recipe.ts";
import { describeBackends } from "../support/backends.ts";
import { expectClose } from "../support/data.ts";
import { drawn, firstBatches, trainer, type Data } from "../support/training.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(300_000);

/** A net of two layers for 8 × 8 images. */
const tinyNetwork: Network = {
  ...small,
  ...{ name: "tiny", crop: 8, record: 8, classes: 4 },
  layers: (classes) => [
    ...[conv("conv1", 4, 3, { pad: 1, sigma: 0.01 }), relu(), maxPool(2, 2)],
    fc("fc2", classes, { sigma: 0.05 }),
  ],
};

/** The training of today, each image mixed with another, some by half. */
const modern = (cutmix: number): Network => {
  const augmentation = { ...MODERN_AUGMENTATION, mixup: 1, cutmix };
  return { ...tinyNetwork, recipe: { ...tinyNetwork.recipe, augmentation } };
};

describeBackends("a training step", ({ open }) => {
  let backend: Backend;
  let data: Data;
  beforeAll(async () => {
    backend = await open();
    data = await drawn(8, 40);
  });

  test("holds as much after the twelfth step as after the second", async () => {
    const held = backend.statistics();
    const { step, free } = trainer(tinyNetwork, backend, data, 10);
    const [batch] = await firstBatches(data.dataset, 8, 8, 1);
    const statistics = [];
    for (let i = 1; i <= 12; i++) {
      await step(batch!);
      statistics.push(backend.statistics());
    }
    expect(statistics[0]!.buffers).toBeGreaterThan(held.buffers);
    for (const later of statistics.slice(2)) expect(later).toEqual(statistics[1]!);
    free();
    // The gradient of the loss with respect to itself, a single number, stays for the next training.
    expect(backend.statistics().buffers - held.buffers).toBeLessThanOrEqual(1);
  });

  test("the same steps give the same bits", async () => {
    const [a, b] = await firstBatches(data.dataset, 8, 8, 2);
    const weights = [];
    for (let time = 0; time < 2; time++) {
      const { step, model, free } = trainer(tinyNetwork, backend, data, 10);
      const losses = [await step(a!, 1e-3), await step(b!, 1e-3), await step(a!, 1e-3)];
      const parameters = await Promise.all(model.parameters.map((parameter) => parameter.read()));
      weights.push({ losses, parameters: parameters.map((values) => [...values]) });
      free();
    }
    expect(weights[1]).toEqual(weights[0]!);
  });

  test("a batch can be memorised: its loss falls below 0.05", async () => {
    const { step, free } = trainer(tinyNetwork, backend, data, 10);
    const [batch] = await firstBatches(data.dataset, 8, 8, 1);
    const first = await step(batch!, 1e-3);
    expect(first).toBeGreaterThan(1);
    let last = first;
    let steps = 1;
    while (last >= 0.05 && steps < 300) {
      last = await step(batch!, 1e-3);
      steps++;
    }
    expect(last).toBeLessThan(0.05);
    free();
  });
});

describeBackends("a step with resized, jittered, erased and mixed images and smoothed labels", ({ open }) => {
  test.each([
    ["mixup", 0],
    ["mixup or cutmix, by batch", 1],
  ])("%s: losses as the plain loops have them, and they fall", async (_, cutmix) => {
    const data = await drawn(8, 40);
    const batches = await firstBatches(data.dataset, 7, 8, 4);
    const losses = async (backend: Backend) => {
      const { step, free } = trainer(modern(cutmix), backend, data, 10);
      const found: number[] = [];
      for (let i = 0; i < 40; i++) found.push(await step(batches[i % 4]!, 1e-4));
      free();
      return found;
    };
    const [actual, expected] = [await losses(await open()), await losses(openReference("f64"))];
    // Forty steps make more of each rounding.
    expectClose("losses", actual, expected, 1e-4);
    const round = (from: number) => actual.slice(from, from + 4).reduce((sum, loss) => sum + loss / 4, 0);
    expect(round(36)).toBeLessThan(0.9 * round(0));
  });
});

describeBackends(
  "a thousand steps",
  ({ open }) => {
    test("the library holds as many objects of every kind as after the first few", async () => {
      const backend = (await open()) as WgpuBackend;
      const data = await drawn(8, 40);
      const { step, free } = trainer(tinyNetwork, backend, data, 10);
      const [batch] = await firstBatches(data.dataset, 2, 8, 1);
      for (let i = 0; i < 2; i++) await step(batch!);
      const { buffers } = backend.counts();
      // Which of two buffers of a size a kernel gets is settled by the fourth step, and bind groups are kept.
      for (let i = 2; i < 4; i++) await step(batch!);
      const counts = backend.counts();
      expect(counts.buffers).toBe(buffers);
      for (let i = 4; i < 1000; i++) await step(batch!);
      expect(backend.counts()).toEqual(counts);
      free();
    });
  },
  ["wgpu"],
);
