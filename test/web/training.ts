/** A training in a page: the built-in set, with what src/ has for it that browsers can run. */
import { drawViews } from "../../src/data/augmentation.ts";
import { epochOrder } from "../../src/data/sampling.ts";
import { shapes } from "../../src/data/shapes.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { means } from "../../src/inference/scores.ts";
import { Model } from "../../src/net/model.ts";
import { createOptimizer } from "../../src/net/optimizers.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { freshSchedule, rateAt } from "../../src/net/schedule.ts";
import { trainingStep } from "../../src/training/step.ts";
import { Batches, readAll } from "../../src/web/site/train/records.ts";
import { Validator } from "../../src/web/site/train/validator.ts";

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
  const sets = shapes({ train: sizes.train, val: sizes.val, size: side });
  const [train, val] = [await readAll(sets.train, side), await readAll(sets.val, side)];
  const model = new Model(network, backend);
  model.initialise(SEED);
  const optimizer = createOptimizer(model, network.recipe);
  const mean = uploadMean(backend, side, new Float32Array(side * side * 3).fill(128));
  const { augmentation, schedule } = network.recipe;
  const options = { record: side, size: network.crop, ...augmentation };
  const losses: number[] = [];
  let early = {};
  const batches = new Batches(train, batch);
  const all = Uint32Array.from({ length: sizes.train }, (_, i) => i);
  const perEpoch = Math.floor(sizes.train / batch);
  for (let step = 0; step < epochs * perEpoch; step++) {
    const epoch = Math.floor(step / perEpoch);
    const at = (step % perEpoch) * batch;
    const valid = batches.take(epochOrder(sets.train, all, { seed: SEED, epoch }), at);
    const { pixels, labels, indices } = batches;
    const { losses: each } = await trainingStep(model, optimizer, mean, {
      ...{ pixels, labels, valid, step, seed: SEED },
      views: drawViews(options, undefined, SEED, epoch, indices, at),
      rateOf: (layer) => rateAt(schedule, freshSchedule(), step / perEpoch, epochs, layer),
    });
    losses.push(each.reduce((sum, loss) => sum + loss, 0) / batch);
    if (step === 1) early = backend.statistics();
  }
  const late = backend.statistics();
  const { scores } = await new Validator(val, batch).look(model, mean, sizes.val);
  const seconds = (performance.now() - start) / 1000;
  return { accuracy: 1 - means(scores).top1, losses, memory: [early, late], seconds };
}
