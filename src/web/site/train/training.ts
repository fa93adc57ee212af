/**
 * The training that `bun run train` does without data, as a page shows it: the same images, order, views, steps and
 * rates, without files, and with looks at the network in between.
 */
import { drawViews } from "../../../data/augmentation.ts";
import { epochOrder } from "../../../data/sampling.ts";
import { shapes } from "../../../data/shapes.ts";
import { DivergedError } from "../../../errors.ts";
import { addScores, means, noScores } from "../../../inference/scores.ts";
import { firstConvolution, Model } from "../../../net/model.ts";
import { createOptimizer } from "../../../net/optimizers.ts";
import { uploadMean } from "../../../net/passes.ts";
import type { Network } from "../../../net/recipe.ts";
import { freshSchedule, rateAt } from "../../../net/schedule.ts";
import type { Means } from "../../../runs/records.ts";
import { trainingStep, type StepResult } from "../../../training/step.ts";
import type { PageDevice } from "../../device.ts";
import { Pace } from "./pace.ts";
import { Batches, meanImage, readAll } from "./records.ts";
import { SHOWN, Validator } from "./validator.ts";

export interface TrainingOptions {
  readonly network: Network;
  readonly seed: number;
  /** Number of images to train on, and to validate with. */
  readonly train: number;
  readonly val: number;
  /** How many of the validation images are looked at within an epoch, and after how many steps of it each time. */
  readonly looked: number;
  readonly lookEvery: number;
  /** How many steps there are between two pictures of the filters. */
  readonly filtersEvery: number;
}

export type TrainingEvent =
  | { readonly type: "drawing"; readonly done: number; readonly total: number }
  /** `pixels` and `labels` are the first validation images, by which a page follows the answers. */
  | {
      readonly type: "start";
      readonly parameters: number;
      readonly steps: number;
      readonly epochs: number;
      readonly classes: readonly string[];
      readonly side: number;
      readonly pixels: Uint8Array;
      readonly labels: Uint32Array;
    }
  /** After each step: epochs completed, with the fraction of the current one; loss and top-1 error of the batch. */
  | {
      readonly type: "step";
      readonly step: number;
      readonly at: number;
      readonly loss: number;
      readonly top1: number;
      /** Since the last look. */
      readonly imagesPerSecond: number;
      /** Since the first step, looks included and pauses not. */
      readonly seconds: number;
    }
  /** F × 3 × height × width. */
  | { readonly type: "filters"; readonly shape: readonly number[]; readonly weights: Float32Array }
  /** Validation, and the training images since the last look: before the first step, NaN. */
  | {
      readonly type: "look";
      readonly at: number;
      readonly train: Means;
      readonly val: Means;
      readonly images: number;
      readonly rate: number;
      /** For each of the images shown, the probability of each class. */
      readonly answers: readonly Float32Array[];
    };

export interface Watcher {
  tell(event: TrainingEvent): void;
  /** Awaited before each step and each hundred drawings: lets others have their turn, or holds the training up. */
  turn(): Promise<void>;
}

/**
 * Trains to the end of the recipe.
 * @returns the last validation, with all of its images
 * @throws DivergedError when the loss is no longer finite; DeviceError when the device fails
 */
export async function trainWatched(backend: PageDevice, options: TrainingOptions, watcher: Watcher): Promise<Means> {
  const { network, seed } = options;
  const { record: side, recipe } = network;
  const sets = shapes({ train: options.train, val: options.val, size: side });
  const total = options.train + options.val;
  const drawn = (before: number) => async (done: number) => {
    watcher.tell({ type: "drawing", done: before + done, total });
    await watcher.turn();
  };
  const train = await readAll(sets.train, side, drawn(0));
  const val = await readAll(sets.val, side, drawn(options.train));

  const model = new Model(network, backend, sets.train.classes.length);
  model.initialise(seed);
  const optimizer = createOptimizer(model, recipe);
  const mean = uploadMean(backend, side, meanImage(train));
  const validator = new Validator(val, Math.min(recipe.batch, options.val));
  const batches = new Batches(train, recipe.batch);
  const perEpoch = Math.ceil(options.train / recipe.batch);
  watcher.tell({
    ...{ type: "start", parameters: model.parameters.reduce((sum, { size }) => sum + size, 0) },
    ...{ steps: recipe.epochs * perEpoch, epochs: recipe.epochs, classes: sets.train.classes, side },
    pixels: val.pixels.slice(0, SHOWN * side * side * 3),
    labels: Uint32Array.from({ length: SHOWN }, (_, i) => val.dataset.label(i)),
  });

  const pace = new Pace();
  let since = noScores();
  const finish = async ({ result, valid, step }: Pending): Promise<void> => {
    const { losses, ranks } = await result;
    const scores = noScores();
    addScores(scores, losses, ranks, valid);
    const { loss, top1 } = means(scores);
    if (!Number.isFinite(loss)) throw new DivergedError(`the loss became ${loss} in step ${step}: try another seed`);
    addScores(since, losses, ranks, valid);
    watcher.tell({ type: "step", step, at: step / perEpoch, loss, top1, ...pace.after(valid) });
  };
  const look = async (step: number, images: number): Promise<Means> => {
    const at = step / perEpoch;
    const { scores, answers } = await validator.look(model, mean, images);
    const rate = rateAt(recipe.schedule, freshSchedule(), at, recipe.epochs);
    watcher.tell({ type: "look", at, train: means(since), val: means(scores), images, rate, answers });
    since = noScores();
    pace.restart();
    return means(scores);
  };

  watcher.tell(await filtersOf(model));
  await look(0, Math.min(options.looked, options.val));
  const everyImage = Uint32Array.from({ length: options.train }, (_, i) => i);
  let validation: Means | undefined;
  // As in src/training/session.ts, the device has its next step before the results of the last one are read.
  let pending: Pending | undefined;
  for (let epoch = 0, step = 0; epoch < recipe.epochs; epoch++) {
    const order = epochOrder(sets.train, everyImage, { seed, epoch });
    for (let batch = 0; batch < perEpoch; batch++) {
      await pace.without(watcher.turn());
      const valid = batches.take(order, batch * recipe.batch);
      const { pixels, labels, indices } = batches;
      const size = network.crop;
      const views = drawViews(
        { ...recipe.augmentation, record: side, size },
        undefined,
        seed,
        epoch,
        indices,
        batch * recipe.batch,
      );
      const progress = epoch + batch / perEpoch;
      const rateOf = (layer: string) => rateAt(recipe.schedule, freshSchedule(), progress, recipe.epochs, layer);
      const result = trainingStep(model, optimizer, mean, {
        ...{ pixels, views, labels, valid, step, seed, rateOf, smoothing: recipe.augmentation.smooth },
        done: (step + 1) / (recipe.epochs * perEpoch),
      });
      // If the step before it fails, this one is never awaited.
      result.catch(() => {});
      if (pending) await finish(pending);
      pending = { result, valid, step: ++step };
      // By now each kernel has run once. Where variants are faster, the other steps are theirs.
      if (step === 1 && backend.tune) await pace.without(backend.tune());
      const isLast = batch === perEpoch - 1;
      if (isLast || (batch + 1) % options.lookEvery === 0) {
        await finish(pending);
        pending = undefined;
        const seen = await look(step, isLast ? options.val : Math.min(options.looked, options.val));
        if (isLast) validation = seen;
      }
      if (isLast || step % options.filtersEvery === 0) watcher.tell(await filtersOf(model));
    }
  }
  return validation!;
}

/** A step whose results are still to be read. */
interface Pending {
  readonly result: Promise<StepResult>;
  readonly valid: number;
  readonly step: number;
}

async function filtersOf(model: Model): Promise<TrainingEvent> {
  const { parameters } = firstConvolution(model.layers)!;
  const filters = model.parameters.find(({ name }) => name === parameters[0]!.name)!;
  return { type: "filters", shape: filters.shape, weights: await filters.read() };
}
