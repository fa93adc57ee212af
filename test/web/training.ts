/** A training in a page: the built-in set, with what src/ has for it that browsers can run. */
import { centreView, drawViews } from "../../src/data/augmentation.ts";
import { epochOrder } from "../../src/data/sampling.ts";
import { shapes } from "../../src/data/shapes.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { Model } from "../../src/net/model.ts";
import { createOptimizer } from "../../src/net/optimizers.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { freshSchedule, rateAt } from "../../src/net/schedule.ts";
import { trainingStep } from "../../src/training/step.ts";

const SEED = 1;

export interface Sizes {
  readonly train: number;
  readonly val: number;
  readonly epochs: number;
  readonly batch: number;
}

/** What came of it: the accuracy on the validation images, and the device's memory after the second step and the last. */
export interface Trained {
  readonly accuracy: number;
  readonly losses: readonly number[];
  readonly memory: readonly [early: object, late: object];
  readonly seconds: number;
}

export async function train(backend: Backend, network: Network, sizes: Sizes): Promise<Trained> {
  const start = performance.now();
  const { batch, epochs } = sizes;
  const side = network.record;
  const { train, val } = shapes({ train: sizes.train, val: sizes.val, size: side });
  const model = new Model(network, backend);
  model.initialise(SEED);
  const optimizer = createOptimizer(model, network.recipe);
  const mean = uploadMean(backend, side, new Float32Array(side * side * 3).fill(128));
  const { augmentation, schedule } = network.recipe;
  const options = { record: side, size: network.crop, ...augmentation };
  const losses: number[] = [];
  let early = {};
  const all = Uint32Array.from({ length: train.length }, (_, i) => i);
  const perEpoch = Math.floor(train.length / batch);
  for (let step = 0; step < epochs * perEpoch; step++) {
    const epoch = Math.floor(step / perEpoch);
    const at = (step % perEpoch) * batch;
    const images = epochOrder(train, all, { seed: SEED, epoch }).subarray(at, at + batch);
    const { losses: each } = await trainingStep(model, optimizer, mean, {
      pixels: await pixelsOf(train, images),
      views: drawViews(options, undefined, SEED, epoch, images, at),
      labels: Uint32Array.from(images, (i) => train.label(i)),
      ...{ valid: batch, step, seed: SEED },
      rateOf: (layer) => rateAt(schedule, freshSchedule(), step / perEpoch, epochs, layer),
    });
    losses.push(each.reduce((sum, loss) => sum + loss, 0) / batch);
    if (step === 1) early = backend.statistics();
  }
  const late = backend.statistics();
  let right = 0;
  for (let at = 0; at < val.length; at += batch) {
    const images = Uint32Array.from({ length: Math.min(batch, val.length - at) }, (_, i) => at + i);
    const p = await probabilities(model, mean, await pixelsOf(val, images), [
      centreView(images.length, side, network.crop),
    ]);
    for (const [n, i] of images.entries()) {
      const own = Array.from({ length: model.classes }, (_, k) => p[k * images.length + n]!);
      if (own.indexOf(Math.max(...own)) === val.label(i)) right++;
    }
  }
  const seconds = (performance.now() - start) / 1000;
  return { accuracy: right / val.length, losses, memory: [early, late], seconds };
}

async function pixelsOf(dataset: Dataset, images: Uint32Array): Promise<Uint8Array> {
  const bytes = dataset.imageSize! ** 2 * 3;
  const pixels = new Uint8Array(images.length * bytes);
  for (const [n, i] of images.entries()) {
    const image = await dataset.read(i);
    if (image.kind === "pixels") pixels.set(image.pixels, n * bytes);
  }
  return pixels;
}
