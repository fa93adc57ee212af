/** Training steps on a given device, without commands and files. */
import { drawViews, mixedLabels } from "../../src/data/augmentation.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { createLoader, type Batch } from "../../src/data/loader.ts";
import { shapes } from "../../src/data/shapes.ts";
import { measureStatistics } from "../../src/data/statistics.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { poolOf } from "../../src/engine/pool.ts";
import { Model } from "../../src/net/model.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { freshSchedule, rateAt } from "../../src/net/schedule.ts";
import { Sgd } from "../../src/net/sgd.ts";
import { trainingStep } from "../../src/training/step.ts";

export interface Data {
  readonly dataset: Dataset;
  readonly mean: Float32Array;
}

/** Images of the built-in set, size × size. */
export async function drawn(size: number, train: number): Promise<Data> {
  return measured(shapes({ size, train }).train, size);
}

export async function measured(dataset: Dataset, recordSize: number): Promise<Data> {
  return { dataset, mean: (await measureStatistics(dataset, { recordSize })).mean };
}

/** A model on a device, and what it takes to train it; `free` gives everything back. */
export function trainer(network: Network, backend: Backend, { dataset, mean }: Data, classes = dataset.classes.length) {
  const model = new Model(network, backend, classes);
  model.initialise(0);
  const sgd = new Sgd(model, network.recipe);
  const deviceMean = uploadMean(backend, network.record, mean);
  let step = 0;
  return {
    model,
    sgd,
    deviceMean,
    /** The mean loss of one step with the network's recipe. */
    async step(batch: Batch, rate = rateAt(network.recipe.schedule, freshSchedule(), 0, network.recipe.epochs)) {
      const { record, crop: size } = network;
      const { pixels, labels, valid, indices, position } = batch;
      const { augmentation } = network.recipe;
      const views = drawViews({ ...augmentation, record, size }, undefined, 0, 0, indices, position);
      const mixed = mixedLabels(views, labels, size);
      const { losses } = await trainingStep(model, sgd, deviceMean, {
        ...{ pixels, views, labels, valid, step: step++, seed: 0, rateOf: () => rate },
        ...{ smoothing: augmentation.smooth, ...(mixed && { mixed }) },
      });
      return losses.subarray(0, valid).reduce((sum, loss) => sum + loss, 0) / valid;
    },
    free() {
      sgd.free();
      model.free();
      backend.free(deviceMean.buffer);
      poolOf(backend).trim();
    },
  };
}

/** The first batches of an epoch in random order, each with arrays of its own. */
export async function firstBatches(
  dataset: Dataset,
  batch: number,
  recordSize: number,
  count: number,
): Promise<Batch[]> {
  const found: Batch[] = [];
  for (let epoch = 0; found.length < count; epoch++) {
    for await (const made of createLoader(dataset, { batch, recordSize, shuffle: { seed: 0, epoch } })) {
      const [pixels, labels, indices] = [made.pixels.slice(), made.labels.slice(), made.indices.slice()];
      if (found.push({ ...made, pixels, labels, indices }) === count) break;
    }
  }
  return found;
}
