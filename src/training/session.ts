/** The training loop: epochs of steps, validation, checkpoints. */
import { existsSync } from "node:fs";
import { drawViews, mixedLabels, mixes, viewsOfShare } from "../data/augmentation.ts";
import type { Dataset, ColourAxes } from "../data/dataset.ts";
import { createLoader, type Batch, type RecordCache } from "../data/loader.ts";
import type { Share } from "../data/share.ts";
import type { Tensor } from "../engine/tensor.ts";
import { DivergedError, RankError, type AlexNetError } from "../errors.ts";
import { confusionOf, examplesOf, type Answers } from "../inference/answers.ts";
import { addScores, means, noScores, type Scores } from "../inference/scores.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { weightsOfBatch } from "../net/later/loss_weights.ts";
import { warmth } from "../net/later/warmup.ts";
import type { LossLabels } from "../net/passes.ts";
import { afterEpoch, colourAt, freshSchedule, rateAt, type ScheduleState } from "../net/schedule.ts";
import { option } from "../option_names.ts";
import type { EpochRecord, Means } from "../runs/records.ts";
import type { Run } from "../runs/runs.ts";
import type { TrainConfig } from "../runs/settings.ts";
import { saveCheckpoint } from "../weights/checkpoint.ts";
import type { Report } from "./events.ts";
import { imagesPerStep } from "./later/accumulate.ts";
import type { StepResult } from "./step.ts";
import type { BatchStep, Stepper, Wishes } from "./stepper.ts";

/**
 * Training progress. With the weights, the optimizer's state and the seed it is all that is needed to go on bit for
 * bit.
 */
export interface State {
  /** Completed epochs, and completed batches of the current one. */
  epoch: number;
  batch: number;
  /** Completed steps. */
  step: number;
  schedule: ScheduleState;
  /** Over the current epoch so far. */
  scores: Scores;
  /** The lowest validation error so far; null before the first. */
  bestError: number | null;
  axes: ColourAxes;
}

export const freshState = (axes: ColourAxes): State => ({
  epoch: 0,
  batch: 0,
  step: 0,
  schedule: freshSchedule(),
  scores: noScores(),
  bestError: null,
  axes,
});

/** Whether a value read from a file is a valid state. */
export function isState(value: unknown): value is State {
  const { epoch, batch, step, bestError, schedule, scores, axes } = (value ?? {}) as Partial<State>;
  const { images, wrong1, wrong5, loss } = (scores ?? {}) as Partial<Scores>;
  const counts = [epoch, batch, step, images, wrong1, wrong5, schedule?.waited, schedule?.drops];
  const isVector = (vector: unknown) => Array.isArray(vector) && vector.length === 3 && vector.every(Number.isFinite);
  return (
    counts.every((count) => Number.isSafeInteger(count) && count! >= 0) &&
    [bestError, schedule!.best].every((error) => error === null || Number.isFinite(error)) &&
    Number.isFinite(loss) &&
    isVector(axes?.values) &&
    Array.isArray(axes!.vectors) &&
    axes!.vectors.length === 3 &&
    axes!.vectors.every(isVector)
  );
}

export interface Session {
  readonly run: Run;
  readonly config: TrainConfig;
  readonly model: Model;
  readonly optimizer: Optimizer;
  /** The mean image, here and on the device. */
  readonly mean: Float32Array;
  readonly deviceMean: Tensor;
  readonly train: Records;
  readonly val: Records;
  /** How often images of each class are seen relative to others; if absent, every image is seen once an epoch. */
  readonly weights?: readonly number[];
  /** The weight of each class in the loss; if absent, all count alike. */
  readonly lossWeights?: readonly number[];
  readonly state: State;
  readonly report: Report;
  readonly watchers: readonly Watcher[];
  /** Time spent on making weights of the images before the first step: it counts as training. */
  readonly preparedMs?: number;
  readonly stepper: Stepper;
  /**
   * With a time limit: how many epochs there is time for in all, after so many of them, of which the last took `ms`
   * milliseconds with its validation. All processes get the same answer.
   */
  readonly epochsInTime?: (done: number, ms: number) => Promise<number>;
  readonly signal?: AbortSignal;
}

/** Observes a training, which waits for it. */
export interface Watcher {
  /** After a step; the next one may already be queued. Resolves to the ms of a pause, which don't count as training. */
  afterStep?(session: Session): Promise<number | void>;
  /** After an epoch has been completed and saved. */
  afterEpoch?(session: Session): Promise<void>;
}

/** A set of images, with the records of it that are kept in memory. */
export interface Records {
  readonly dataset: Dataset;
  readonly cache: RecordCache;
}

/** How often progress is saved within an epoch. */
const SAVE_EVERY_MS = 10 * 60_000;
/** How many steps there are to a line of the log. */
const LOG_EVERY_STEPS = 50;
/** A mean loss above it has diverged: in half precision, numbers stop at 65,504 instead of becoming infinite. */
const MOST_IN_HALF = 1000;

/**
 * Trains until the last epoch is done. When the signal is aborted, it finishes what is queued, saves, and returns.
 * @returns the last validation, the number of epochs that there were to be, and whether training was stopped
 * @throws DivergedError when the loss is no longer finite; the last save is kept
 */
export async function runEpochs(begun: Session): Promise<{ interrupted: boolean; epochs: number; val?: Means }> {
  let session = begun;
  const { state, stepper, report } = session;
  let val: Means | undefined;
  while (state.epoch < session.config.epochs && !hasWaited(session)) {
    const { stopped, ...timing } = await trainEpoch(session);
    const trained = performance.now();
    await stepper.gather();
    const validation = stopped ? undefined : await validate(session);
    if (!validation) {
      await save(session);
      return { interrupted: true, epochs: session.config.epochs };
    }
    val = validation.val;
    if (await stepper.realign()) {
      report({
        type: "warning",
        line: "the ranks' weights drifted apart, as on devices that round differently: they were made the same again",
      });
    }
    await endEpoch(session, validation, timing);
    const epochMs = timing.seconds * 1000 + (performance.now() - trained);
    for (const watcher of session.watchers) await watcher.afterEpoch?.(session);
    session = await inTime(session, epochMs);
  }
  return { interrupted: false, epochs: session.config.epochs, ...(val ? { val } : {}) };
}

/**
 * A session with fewer epochs, if there is no longer time for all of them. There are never more than planned: the
 * learning rate would rise again.
 */
async function inTime(session: Session, epochMs: number): Promise<Session> {
  const { config, state, run, report, epochsInTime } = session;
  const epochs = (await epochsInTime?.(state.epoch, epochMs)) ?? Infinity;
  if (epochs >= config.epochs) return session;
  const fewer = { ...config, epochs };
  await run.writeConfig(fewer);
  const line = `epochs take longer than measured at first: there is time for ${epochs}, not for ${config.epochs}`;
  report({ type: "warning", line });
  return { ...session, config: fewer };
}

/** Whether the validation error has not improved for as long as the training is to wait. */
function hasWaited({ config: { patience }, state: { schedule } }: Session): boolean {
  return patience !== null && schedule.waited >= patience;
}

/** Number of images in an epoch. */
export function epochLength({ epochImages }: Pick<TrainConfig, "epochImages">, { length }: Dataset): number {
  return Math.min(length, epochImages ?? Infinity);
}

interface Timing {
  readonly images: number;
  readonly seconds: number;
  readonly waitedSeconds: number;
  /** By this process in each step, where there are several. */
  readonly sentBytes?: number;
}

/** A step that has been started. */
interface Pending {
  readonly result: Promise<StepResult>;
  /** How many of its images count. */
  readonly valid: number;
  /** How many batches of the epoch, and steps, are completed with it. */
  readonly batch: number;
  readonly step: number;
}

/**
 * The remaining steps of an epoch, until the training is stopped. Where the stepper allows it, the next step is queued
 * while the device works on the last, which then never waits for pixels; nothing is saved while a step is unfinished.
 */
async function trainEpoch(session: Session): Promise<Timing & { readonly stopped: boolean }> {
  const { config, state, train, signal, report, stepper } = session;
  const { network } = session.model;
  const epochImages = epochLength(config, train.dataset);
  const stepImages = imagesPerStep(config, train.dataset.length);
  const hasShare = stepper.share.count < stepImages;
  const loader = createLoader(train.dataset, {
    batch: stepImages,
    recordSize: network.record,
    resize: network.resize,
    shuffle: {
      ...{ seed: config.seed, epoch: state.epoch, images: epochImages },
      ...(session.weights && { weights: session.weights }),
    },
    ...(hasShare && { share: neighboursIncluded(session) }),
    from: state.batch,
    cache: train.cache,
    onBad: (name, reason) => report({ type: "bad", name, reason }),
  });
  const { batches } = loader;
  const start = performance.now() - (state.step === 0 ? (session.preparedMs ?? 0) : 0);
  let lastSave = performance.now();
  let images = 0;
  let waitedMs = 0;
  let pausedMs = 0;
  let sentBytes = 0;
  const firstStep = state.step;
  const seconds = () => (performance.now() - start - pausedMs) / 1000;
  const wishes = (): Wishes => ({
    stop: signal?.aborted === true,
    save: performance.now() - lastSave > SAVE_EVERY_MS,
  });

  const finish = async ({ result, valid, batch, step }: Pending): Promise<void> => {
    const { losses, ranks } = await result;
    addScores(state.scores, losses, ranks, valid);
    const { loss, top1 } = means(state.scores);
    if (!Number.isFinite(state.scores.loss)) throw diverged(session, "loss", state.scores.loss, step);
    if (config.precision === "half" && loss > MOST_IN_HALF) throw diverged(session, "loss", loss, step);
    images += valid;
    const rate = images / seconds();
    const imagesLeft = (config.epochs - state.epoch) * epochImages - batch * stepImages;
    const progress = { epoch: state.epoch + 1, epochs: config.epochs, batch, batches };
    report({
      type: "step",
      ...progress,
      loss,
      top1,
      imagesPerSecond: rate,
      secondsLeft: Math.max(0, imagesLeft) / rate,
    });
    if (step % LOG_EVERY_STEPS === 0) {
      const dataWait = waitedMs / 1000 / seconds();
      session.run.log({ step, epoch: state.epoch + 1, loss, top1, imagesPerSecond: rate, dataWait });
    }
  };

  const pending: Pending[] = [];
  const finishAllBut = async (count: number) => {
    while (pending.length > count) await finish(pending.shift()!);
  };
  for await (const batch of loader) {
    if (stepper.agreed(wishes()).stop) break;
    waitedMs += batch.waitedMs;
    const sentBefore = stepper.sentBytes;
    const step = stepOf(session, batch, batches);
    const result = stepper.step(step, wishes());
    pending.push({ result, valid: step.whole.valid, batch: ++state.batch, step: ++state.step });
    await finishAllBut(stepper.ahead);
    sentBytes += stepper.sentBytes - sentBefore;
    for (const watcher of session.watchers) pausedMs += (await watcher.afterStep?.(session)) ?? 0;
    if (stepper.agreed(wishes()).save) {
      await finishAllBut(0);
      await stepper.gather();
      await save(session);
      lastSave = performance.now();
    }
  }
  await finishAllBut(0);
  return {
    ...{ stopped: stepper.agreed(wishes()).stop, images, seconds: seconds(), waitedSeconds: waitedMs / 1000 },
    ...(sentBytes > 0 && { sentBytes: sentBytes / (state.step - firstStep) }),
  };
}

/** The images of a batch that this process reads: its own, and the one that its last image may be mixed with. */
function neighboursIncluded({ config, stepper: { share } }: Session): Share {
  return { first: share.first, count: mixes(config.augmentation) ? share.count + 1 : share.count };
}

/** Completed epochs, with the fraction of the current one, when a batch begins. */
function progressOf({ state }: Session, batches: number): number {
  return state.epoch + state.batch / batches;
}

/** The learning rate of a layer in a step; without a layer, the recipe's. */
function rateIn({ config, state, train }: Session, step: number, progress: number, layer?: string): number {
  const { schedule, warmup, epochs } = config;
  const steps = Math.ceil(epochLength(config, train.dataset) / imagesPerStep(config, train.dataset.length));
  return rateAt(schedule, state.schedule, progress, epochs, layer) * warmth(warmup, step, steps);
}

/** The views of all images of a batch. */
function viewsOf(session: Session, { whole, indices, position }: Batch, batches: number): Float32Array {
  const { config, state, model } = session;
  const { seed, augmentation, schedule } = config;
  const { record, crop: size } = model.network;
  const colour = colourAt(schedule, progressOf(session, batches)) ? augmentation.colour : 0;
  const variation = { ...augmentation, colour, record, size };
  return drawViews(variation, state.axes, seed, state.epoch, whole?.indices ?? indices, position);
}

function stepOf(session: Session, batch: Batch, batches: number): BatchStep {
  const { config, state, model, train, deviceMean: mean, stepper } = session;
  const { epochs, seed, augmentation } = config;
  const { step } = state;
  const progress = progressOf(session, batches);
  const rateOf = (layer: string) => rateIn(session, step, progress, layer);
  const done = (state.epoch * batches + state.batch + 1) / (epochs * batches);
  const labelled = (views: Float32Array, labels: Uint32Array, seen: number, valid: number): LossLabels => {
    const mixed = mixedLabels(views, labels, model.network.crop, seen);
    return {
      ...{ labels: labels.subarray(0, seen), valid: Math.min(valid, seen), smoothing: augmentation.smooth },
      ...(mixed && { mixed }),
    };
  };
  const wholeViews = viewsOf(session, batch, batches);
  const views = batch.whole ? viewsOfShare(wholeViews, neighboursIncluded(session)) : wholeViews;
  const seen = stepper.share.count;
  const own = labelled(views, batch.labels, seen, batch.valid);
  const wholeOf = ({ indices, valid }: NonNullable<Batch["whole"]>) =>
    labelled(
      wholeViews,
      Uint32Array.from(indices, (image) => train.dataset.label(image)),
      indices.length,
      valid,
    );
  const whole = batch.whole ? wholeOf(batch.whole) : own;
  const weights = weightsOfBatch(session.lossWeights, whole);
  const both = { ...own, ...weights, whole: { ...whole, ...weights } };
  return { ...both, pixels: batch.pixels, views, seen, mean, step, seed, rateOf, done };
}

interface Validation {
  readonly val: Means;
  /** The model's answer for each image. */
  readonly answers: Answers;
}

/** Undefined when training was stopped. */
async function validate(session: Session): Promise<Validation | undefined> {
  const { model, deviceMean, val, config, report, signal, stepper } = session;
  const answers = await withAverages(session, () =>
    stepper.answer([{ model, mean: deviceMean }], val.dataset, {
      cache: val.cache,
      batch: config.batch,
      progress: (done, total) => report({ type: "validate", done, total }),
      onBad: (name, reason) => report({ type: "bad", name, reason }),
      ...(signal ? { signal } : {}),
    }),
  );
  return answers && { val: means(answers.scores(model.classes).total), answers };
}

async function endEpoch(session: Session, { val, answers }: Validation, timing: Timing): Promise<void> {
  const { images, seconds, waitedSeconds, sentBytes } = timing;
  const { state } = session;
  const record: EpochRecord = {
    step: state.step,
    epoch: state.epoch + 1,
    train: means(state.scores),
    val,
    rate: rateIn(session, state.step - 1, state.epoch),
    imagesPerSecond: images / seconds,
    dataWait: waitedSeconds / seconds,
    seconds,
    ...(sentBytes !== undefined && { sentBytes }),
  };
  await keepEpoch(session, record, answers);
}

/**
 * Saves and reports what an epoch has made of the model, or, as epoch 0, what came before the first.
 * @throws DivergedError when the validation loss is not finite
 */
export async function keepEpoch(session: Session, record: EpochRecord, answers: Answers): Promise<void> {
  const { config, state, run, report } = session;
  const { val } = record;
  if (!Number.isFinite(val.loss)) throw diverged(session, "validation loss", val.loss, state.step);
  state.schedule = afterEpoch(config.schedule, state.schedule, val.top1);
  state.epoch = record.epoch;
  state.batch = 0;
  state.scores = noScores();
  const isBest = state.bestError === null || val.top1 < state.bestError;
  if (isBest) state.bestError = val.top1;
  // "last" comes last: after a kill before it, a resumed run gets here again.
  if (isBest) {
    await withAverages(session, () => save(session, "best"));
    const { dataset } = session.val;
    const { classes } = dataset;
    const [entries, examples] = [confusionOf(answers, classes.length), examplesOf(answers, dataset)];
    await run.writeConfusion({ epoch: state.epoch, classes, entries, examples });
  }
  run.log(record);
  await save(session);
  report({ type: "epoch", isBest, ...record });
}

/** Does something with the averages of the weights in their place, if there are any. */
async function withAverages<T>({ optimizer }: Session, work: () => Promise<T>): Promise<T> {
  await optimizer.swap?.();
  const result = await work();
  await optimizer.swap?.();
  return result;
}

/** "last" holds everything needed to go on, "best" what is needed to use the model. */
async function save(
  { run, model, optimizer, mean, train, state, report, stepper }: Session,
  which: "last" | "best" = "last",
): Promise<void> {
  if (!stepper.leads) return;
  const { classes } = train.dataset;
  const contents = { model, classes, mean, state };
  if (which === "last") await saveCheckpoint(run.last, { ...contents, optimizer }, run.previous);
  else await saveCheckpoint(run.best, contents);
  report({ type: "saved", path: run[which] });
}

function diverged(session: Session, what: string, value: number, step: number): AlexNetError {
  const { run, state, stepper } = session;
  const rate = rateIn(session, step - 1, state.epoch);
  const saved = existsSync(run.last) ? `The last save is good: ${run.last}` : "Nothing had been saved yet";
  const became = Number.isNaN(value) ? "NaN" : value === Infinity ? "infinite" : Math.round(value);
  const message =
    `the ${what} became ${became} in epoch ${state.epoch + 1}, step ${step}, ` +
    `at a learning rate of ${rate}: train with a lower ${option("rate")}. ${saved}`;
  // All processes notice at once; one reports it.
  return stepper.leads ? new DivergedError(message) : new RankError(message, true);
}
