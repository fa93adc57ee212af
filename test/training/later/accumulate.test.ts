/** A step in parts is the step on all of their images at once. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { drawViews, mixedLabels } from "../../../src/data/augmentation.ts";
import { VIEW, VIEW_LENGTH } from "../../../src/engine/ops/augment.ts";
import type { Backend } from "../../../src/engine/backend.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { small } from "../../../src/net/cifar_networks.ts";
import { heldBytes } from "../../../src/net/fit.ts";
import { conv, dropout, fc, maxPool, relu } from "../../../src/net/layers/index.ts";
import { weightsOfBatch } from "../../../src/net/later/loss_weights.ts";
import { Model } from "../../../src/net/model.ts";
import { uploadMean } from "../../../src/net/passes.ts";
import { MODERN_AUGMENTATION, NO_AUGMENTATION, type Network } from "../../../src/net/recipe.ts";
import { Sgd } from "../../../src/net/sgd.ts";
import { accumulatedStep, partsOf } from "../../../src/training/later/accumulate.ts";
import { trainingStep, type Step } from "../../../src/training/step.ts";
import { describeBackends } from "../../support/backends.ts";
import { expectClose } from "../../support/data.ts";
import { drawn, firstBatches } from "../../support/training.ts";

setDefaultTimeout(300_000);

/** With dropout, whose masks are those of the whole batch, and without batch normalisation. */
const network: Network = {
  ...small,
  ...{ name: "tiny", crop: 8, record: 8, classes: 4 },
  layers: (classes) => [
    ...[conv("conv1", 4, 3, { pad: 1, sigma: 0.1 }), relu(), maxPool(2, 2), dropout()],
    fc("fc2", classes, { sigma: 0.1 }),
  ],
};

const IMAGES = 7;
const mean = new Float32Array(8 * 8 * 3).fill(128);

/** A step on seven images, of which six count. */
async function stepOf(augmentation = NO_AUGMENTATION, weights?: readonly number[]): Promise<Step> {
  const { dataset } = await drawn(8, 40);
  const [{ pixels, labels, indices }] = (await firstBatches(dataset, IMAGES, 8, 1)) as [any];
  const views = drawViews({ ...augmentation, record: 8, size: 8 }, undefined, 0, 0, indices, 0);
  const mixed = mixedLabels(views, labels, 8);
  const own = { labels: labels.map((label: number) => label % 4), valid: 6, ...(mixed && { mixed: fourOf(mixed) }) };
  return {
    ...{ pixels, views, ...own, seen: IMAGES, step: 3, seed: 5, smoothing: 0.1, rateOf: () => 0.01 },
    ...weightsOfBatch(weights, own),
  };
}

const fourOf = ({ others, shares }: { others: Uint32Array; shares: Float32Array }) => ({
  others: others.map((label) => label % 4),
  shares,
});

/** The parameters after a step, and its losses and ranks. */
async function after(backend: Backend, step: Step, parts: number) {
  const model = new Model(network, backend);
  model.initialise(1);
  const optimizer = new Sgd(model, network.recipe);
  const deviceMean = uploadMean(backend, 8, mean);
  const take = () =>
    parts === 0
      ? trainingStep(model, optimizer, deviceMean, step)
      : accumulatedStep(model, optimizer, deviceMean, step, parts);
  const { losses, ranks } = await take();
  const parameters = await Promise.all(model.parameters.map(async (parameter) => [...(await parameter.read())]));
  return { losses: [...losses], ranks: [...ranks], parameters: parameters.flat(), take };
}

const WEIGHTS = [2, 0.5, 1, 0.25];

describeBackends("a step in parts", ({ open }) => {
  test.each([
    ["plain", NO_AUGMENTATION, undefined],
    ["with images mixed across the borders of parts", { ...MODERN_AUGMENTATION, cutmix: 0, mixup: 1 }, undefined],
    ["with weights of the classes", { ...MODERN_AUGMENTATION, cutmix: 0, mixup: 1 }, WEIGHTS],
  ])("%s: losses and new weights are those of one step", async (_, augmentation, weights) => {
    const backend = await open();
    const step = await stepOf(augmentation, weights);
    const whole = await after(backend, step, 0);
    for (const parts of [2, 3, 7]) {
      const found = await after(backend, step, parts);
      // An image that doesn't count has no place that matters.
      expect(found.ranks.slice(0, 6)).toEqual(whole.ranks.slice(0, 6));
      expectClose("losses", found.losses, whole.losses, 2e-6);
      expectClose("parameters", found.parameters, whole.parameters, 2e-6);
    }
  });

  test("holds as much after the fifth step as after the second", async () => {
    const backend = await open();
    const { take } = await after(backend, await stepOf(), 3);
    await take();
    const second = backend.statistics();
    for (let i = 0; i < 3; i++) await take();
    expect(backend.statistics()).toEqual(second);
  });
});

test("in float64, the gradients of parts are those of one batch to twelve digits", async () => {
  // A quarter, the weight of each part, is exact in float32.
  const step = { ...(await stepOf({ ...MODERN_AUGMENTATION, mixup: 1 }, WEIGHTS)), valid: 4 };
  const whole = await after(openReference("f64"), step, 0);
  const parts = await after(openReference("f64"), step, 7);
  expect(parts.parameters).toEqual(whole.parameters.map((value) => expect.closeTo(value, 12)));
  // The step did something.
  const still = await after(openReference("f64"), { ...step, rateOf: () => 0 }, 7);
  expect(Math.max(...still.parameters.map((value, i) => Math.abs(value - parts.parameters[i]!)))).toBeGreaterThan(1e-4);
});

test("the last image of a part is mixed with the image after it, the last of all with the first", async () => {
  const step = await stepOf({ ...MODERN_AUGMENTATION, cutmix: 0, mixup: 1 });
  const parts = partsOf(step, 2);
  expect(parts.map(({ first, seen, valid }) => [first, seen, valid])).toEqual([
    [0, 3, 3],
    [3, 4, 3],
  ]);
  const bytes = 8 * 8 * 3;
  const image = (n: number) => [...step.pixels.subarray(n * bytes, (n + 1) * bytes)];
  for (const [part, last, partner] of [
    [parts[0]!, 3, 3],
    [parts[1]!, 4, 0],
  ] as const) {
    expect(part.views.length).toBe((last + 1) * VIEW_LENGTH);
    expect(part.views[(last - 1) * VIEW_LENGTH + VIEW.partner]).toBe(last);
    expect([...part.pixels.subarray(last * bytes)]).toEqual(image(partner));
  }
});

test("memory: a step in parts also holds the gradients of the part that is being added", () => {
  const backend = openReference("f32");
  const work = { network, classes: 4, kind: "training" } as const;
  const parameters = new Model(network, backend).parameters.map(({ size }) => size);
  const more = heldBytes({ ...work, accumulates: true }, 2, backend) - heldBytes(work, 2, backend);
  expect(more).toBeGreaterThanOrEqual(4 * Math.max(...parameters));
  expect(more).toBeLessThanOrEqual(4 * parameters.reduce((sum, size) => sum + size, 0));
});
