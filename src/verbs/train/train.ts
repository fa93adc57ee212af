/** A whole training: chooses data, model and device, measures the data, and runs the epochs. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { divide } from "../../data/inventory.ts";
import { RecordCache } from "../../data/loader.ts";
import { locate, type Opened } from "../../data/open.ts";
import { writeSamples } from "../../data/samples.ts";
import { openWhole, reduceSets, type Selection } from "../../data/select.ts";
import { measureStatistics } from "../../data/statistics.ts";
import { openDeviceOf } from "../../devices/open.ts";
import type { Backend } from "../../engine/backend.ts";
import { AlexNetError, DataError, DeviceError, DeviceLostError, DeviceMemoryError, UsageError } from "../../errors.ts";
import { lockFolder, type Lock } from "../../io/lock.ts";
import { defineNetwork } from "../../net/definition.ts";
import { checkFit, fittingBatch, type Work } from "../../net/fit.ts";
import { learningLayers } from "../../net/layer_names.ts";
import { Model, place } from "../../net/model.ts";
import { openNetwork } from "../../net/network_file.ts";
import { findNetwork } from "../../net/networks.ts";
import { createOptimizer } from "../../net/optimizers.ts";
import { uploadMean } from "../../net/passes.ts";
import type { Network } from "../../net/recipe.ts";
import { freshSchedule, rateAt } from "../../net/schedule.ts";
import { option, setting } from "../../option_names.ts";
import { given as known } from "../../options.ts";
import { agree, describeDevice, fingerprint, RunElsewhere, settingsOf } from "../../ranks/agreement.ts";
import { CONTEXT, type Context } from "../../ranks/context.ts";
import { ALONE, type Ranks } from "../../ranks/ranks.ts";
import { openStepper, shareFor } from "../../ranks/steppers.ts";
import { keptOptions } from "../../runs/command.ts";
import { changeConfig, makeConfig, rateForClasses, scaleRate } from "../../runs/config.ts";
import { phasesOf, readHistory } from "../../runs/history.ts";
import { divisionOf, keepImages, requireData } from "../../runs/recorded.ts";
import type { EpochRecord, Means, Phases, StartRecord } from "../../runs/records.ts";
import { findRun, namedRun, newRun, type Run } from "../../runs/runs.ts";
import { networkOf, type TrainConfig } from "../../runs/settings.ts";
import { TRAIN_OPTIONS, type TrainOptions } from "../../runs/train_options.ts";
import { findWeights, FOR_PHOTOS } from "../../runs/weights.ts";
import { validate } from "../../schema.ts";
import { unlessStopped } from "../../signals.ts";
import type { Report, TrainEvent } from "../../training/events.ts";
import { restore } from "../../training/restore.ts";
import { imagesPerStep } from "../../training/later/accumulate.ts";
import { hasHead } from "../../training/later/head.ts";
import {
  epochLength,
  freshState,
  runEpochs,
  type Records,
  type Session,
  type State,
  type Watcher,
} from "../../training/session.ts";
import { Reporter } from "../report/reporter.ts";
import { PHOTOS, suitedModel } from "../shared/suited_model.ts";
import { classWeights, imbalanceOf, remarksOnClasses } from "./classes.ts";
import { beginWith, fineTuningRecipe, sameClasses, sourceOf } from "./fine_tune.ts";
import { finish } from "./finish.ts";
import { prepare } from "./prepare.ts";

export interface TrainResult {
  readonly run: string;
  readonly interrupted: boolean;
  /** The last validation of this call. */
  readonly val?: Means;
  /** The validation error of the run's best epoch so far, and the number of images that it is of. */
  readonly bestError?: number;
  readonly validated?: number;
  /** If the run begins with a new last layer: what it reaches alone, and what training everything makes of it. */
  readonly phases?: Phases;
  /** Every epoch of the run so far, those before it was resumed too; on rank 0, elsewhere none. */
  readonly history: readonly EpochRecord[];
  /** The epoch of it with the lowest validation error, whose weights were kept as the best; absent before the first. */
  readonly best?: EpochRecord;
}

/**
 * Trains a model, or resumes a run. If the GPU is lost, it is reopened once, and the training continues from the last
 * save. The signal stops it after the current step, with everything saved; the result is then `interrupted`.
 * @throws UsageError, DataError, DeviceError, CheckpointError or DivergedError; LockedError when another process uses
 * the run's folder
 */
export async function train(call: TrainOptions & Context<TrainEvent> = {}): Promise<TrainResult> {
  return trainWatched(call);
}

/** As `train`. @param watchers called between steps and after epochs, on rank 0 */
export async function trainWatched(
  call: TrainOptions & Context<TrainEvent>,
  watchers: readonly Watcher[] = [],
): Promise<TrainResult> {
  validate("train", call, TRAIN_OPTIONS, CONTEXT);
  const { onEvent: report = () => {}, signal, ranks = ALONE, ...options } = call;
  const note = (line: string) => report({ type: "note", line });
  using folder = new RunFolder(options.out, (line) => report({ type: "warning", line }));
  await agree(ranks, () => settingsOf(options));
  const given = await ranks.share(() => {
    if (options.resume === undefined) return firstConfig(options, note);
    const run = folder.take(findRun(options.resume));
    const config = changeConfig(run.readConfig(), options);
    requireData(run, config);
    return config;
  });
  // Fetching weights is not training.
  const began = performance.now();
  await using whole = await openWhole({ ...given, ...inMemory(options) }, note);
  for (const remark of whole.remarks) report({ type: "remark", ...remark });
  await agree(ranks, async () => ({ train: await fingerprint(whole.train), val: await fingerprint(whole.val) }));
  const division = await ranks.share(() =>
    folder.run ? divisionOf(folder.run, given, whole, options, note, folder.warn) : null,
  );
  const sets = division ? divide(whole, division) : reduceSets(whole, given);
  const config = await ranks.share(async () => {
    const suited = folder.run ? given : await suitedConfig(options, given, sets.train, note);
    if (suited.epochs === 0 && !folder.run && !hasNewHead(suited, sets.train)) {
      throw new UsageError(
        `${option("epochs")} 0: must be above 0, unless a new last layer is trained: on weights for other classes (${option("from")})`,
      );
    }
    shareFor(suited.split, imagesPerStep(suited, sets.train.length), ranks);
    return suited;
  });
  if (!folder.run && config.data !== null && ranks.rank === 0) {
    const isAsked = options.balance !== undefined || config.weights !== null || config.lossWeights !== null;
    for (const line of remarksOnClasses(sets, config, isAsked)) report({ type: "warning", line });
  }
  const begunWith = folder.run ? folder.run.readStart()?.options : keptOptions(options);
  const rest = { report, watchers, ranks, ...(signal && { signal }), ...(begunWith && { begunWith }) };
  return await trainOnDevices({ config, whole, sets, folder, began, ...rest });
}

/** Those of the sets that are given open, not by name. */
function inMemory({ data, val }: TrainOptions): Partial<Selection> {
  return { ...(typeof data === "object" && { data }), ...(typeof val === "object" && { val }) };
}

interface TrainJob {
  readonly config: TrainConfig;
  /** The options that the run was begun with, where they are known. */
  readonly begunWith?: StartRecord["options"];
  /** All images of the data, and those to use. */
  readonly whole: Opened;
  readonly sets: Opened;
  readonly folder: RunFolder;
  /** When the training's minutes began, by `performance.now`. */
  readonly began: number;
  readonly report: Report;
  readonly watchers: readonly Watcher[];
  readonly ranks: Ranks;
  readonly signal?: AbortSignal;
}

/** Batch size, at most the size of the set: the rest would be padding. */
function batchOf({ batch }: Pick<TrainConfig, "batch">, { train }: Opened): number {
  return Math.min(batch, train.length);
}

/** A run's folder, locked for this training as soon as it is known. */
class RunFolder {
  run: Run | undefined;
  readonly warn: (line: string) => void;
  readonly #out: string | undefined;
  #lock: Lock | undefined;

  constructor(out: string | undefined, warn: (line: string) => void) {
    this.#out = out;
    this.warn = warn;
  }

  /** Locks a run. @throws LockedError when another process uses it */
  take(run: Run): Run {
    this.#lock = lockFolder(run.path, this.warn);
    return (this.run = run);
  }

  /**
   * Creates and locks the run of a new training, in the folder of --out or a new one.
   * @throws as `take`; UsageError, AlexNetError
   */
  begin(network: string): Run {
    return this.take(this.#out === undefined ? newRun(network) : namedRun(this.#out));
  }

  [Symbol.dispose](): void {
    this.#lock?.release();
  }
}

/** Trains on a device. If it is lost, opens it or another one once more. */
async function trainOnDevices(task: TrainJob): Promise<TrainResult> {
  const { config, folder, ranks } = task;
  let lost: DeviceLostError | undefined;
  for (;;) {
    await using backend = await open(config, ranks).catch((error: unknown) => {
      if (!lost || !(error instanceof AlexNetError)) throw error;
      throw new DeviceError(`${lost.message}, and can't be reopened: ${error.message}: ${howToResume(folder.run!)}`);
    });
    try {
      return await trainOn(task, backend);
    } catch (error) {
      if (error instanceof DeviceMemoryError) throw memoryError(error, task, backend);
      // Other ranks can't go back to the last save: all end, to be resumed together.
      if (!(error instanceof DeviceLostError) || !folder.run || ranks.size > 1) throw error;
      if (lost)
        throw new DeviceLostError(`${error.message}, for the second time: ${howToResume(folder.run)}`, {
          cause: error,
        });
      lost = error;
      folder.warn(`${error.message}: reopening it, and continuing from the last save`);
    }
  }
}

async function open({ device, blas, threads, tune }: TrainConfig, ranks: Ranks): Promise<Backend> {
  const options = {
    device,
    ...(blas === null ? {} : { blas }),
    ...(threads === null ? {} : { threads }),
    ...(tune === null ? {} : { tune }),
  };
  return openDeviceOf(options, ranks);
}

/** Adds the batch size that would have fit. */
function memoryError(error: DeviceMemoryError, task: TrainJob, backend: Backend): DeviceMemoryError {
  const { config, sets } = task;
  const batch = fittingBatch(workOf(task), batchOf(config, sets), backend, backend.statistics().bytes);
  const advice = batch > 0 ? `try ${setting("batch", batch)}` : `${config.network} needs another device`;
  return new DeviceMemoryError(`${error.message}: ${advice}`, { cause: error });
}

function workOf({ config, sets, ranks }: TrainJob): Work {
  return {
    network: networkOf(config),
    classes: sets.train.classes.length,
    kind: "training",
    optimizer: config.optimizer,
    average: config.average,
    accumulates: config.accumulate > 1,
    weighs: config.lossWeights !== null,
    frozen: config.freeze,
    // If the network is split, a rank may have all images.
    shares: config.split === null ? ranks.size : 1,
    validationImages: Math.ceil(sets.val.length / ranks.size),
  };
}

function howToResume({ path }: Run): string {
  return `continue with ${setting("resume", path)}, on another device with ${option("device")}`;
}

async function trainOn(task: TrainJob, backend: Backend): Promise<TrainResult> {
  const { config, whole, sets, folder, report, watchers, ranks, signal } = task;
  const network = networkOf(config);
  const { classes } = sets.train;
  const batch = batchOf(config, sets);
  checkFit(workOf(task), batch, backend);
  const model = new Model(network, backend, classes.length);
  const optimizerOf = (model: Model) => createOptimizer(model, config);
  const optimizer = optimizerOf(model);
  const images = imagesPerStep(config, sets.train.length);
  const steps = { ...config, batch: images, parts: Math.ceil(images / batch) };
  const stepper = openStepper({ model, optimizer }, optimizerOf, steps, ranks);
  // Nothing in a run's folder is changed until all of it has been checked.
  const from = folder.run && restore(folder.run, config, classes, model, optimizer, folder.warn);
  const weights = classWeights(config, sets.train);
  const isNew = folder.run === undefined;
  const path = await ranks.share(() => (folder.run ?? folder.begin(config.network)).path);
  const run = folder.run ?? new RunElsewhere(path);
  if (from?.isPrevious) run.putBack();
  if (ranks.rank === 0 && config.data !== null && (isNew || !existsSync(run.imagesFile))) {
    await keepImages(run, whole, (line) => report({ type: "note", line }));
  }
  await run.writeConfig(config);
  await run.rewind(from?.state ?? { step: 0, epoch: 0 });
  const started: StartRecord = {
    type: "start",
    run: run.path,
    network: network.name,
    parameters: model.parameters.reduce((sum, { size }) => sum + size, 0),
    device: describeDevice(ranks, backend),
    data: sets.train.name,
    train: sets.train.length,
    val: sets.val.length,
    classes: classes.length,
    batch,
    ...(config.accumulate > 1 && { accumulate: config.accumulate }),
    epochs: config.epochs,
    ...(whole.isHeldOut && config.fold === null && { isHeldOut: true }),
    ...(config.epochImages !== null && { epochImages: epochLength(config, sets.train) }),
    ...(!from && config.minutes !== null && { minutes: config.minutes }),
    ...(task.begunWith && { options: task.begunWith }),
    rate: rateAt(config.schedule, from?.state.schedule ?? freshSchedule(), from?.state.epoch ?? 0, config.epochs || 1),
    ...(from && { from: { epoch: from.state.epoch, batch: from.state.batch } }),
  };
  report(started);
  const records = (dataset: Dataset) => ({ dataset, cache: new RecordCache(dataset, network.record) });
  const [train, val] = [records(sets.train), records(sets.val)];
  model.freeze(config.freeze);
  model.statisticsFrozen = config.freezeStatistics;
  let isNewLast = false;
  const begun = await startTogether(ranks, network.record, async () => {
    if (from) return from;
    model.initialise(config.seed);
    if (config.from === null) return start(train, network, config.seed, report, signal);
    const known = beginWith(config.from, model, sets.train);
    isNewLast = known.isNewLast;
    // Trained weights need the mean image that they were trained with.
    if (config.augmentation.colour === 0) return { mean: known.mean, state: freshState(NO_AXES) };
    const measured = await start(train, network, config.seed, report, signal);
    return measured && { ...measured, mean: known.mean };
  });
  let result: Pick<TrainResult, "interrupted" | "val"> = { interrupted: true };
  let bestError: number | null = null;
  let phases: Phases | null = null;
  if (begun) {
    const { mean, state } = begun;
    const deviceMean = uploadMean(backend, network.record, mean);
    await run.writeStart(started);
    const reporter = new Reporter(run, report);
    const session: Session = {
      run,
      config: { ...config, batch },
      model,
      optimizer,
      mean,
      deviceMean,
      state,
      report,
      train,
      val,
      watchers: ranks.rank === 0 ? [reporter, ...watchers] : [],
      stepper,
      ...weights,
      ...(signal && { signal }),
    };
    // Only the first process knows what was saved.
    const isResumed = await ranks.share(() => from !== undefined);
    const ready = isResumed ? session : await prepare(session, { isNewLast, began: task.began, ranks });
    if (ready) {
      const { minutes: _, ...counted } = started;
      await run.writeStart({ ...counted, epochs: ready.config.epochs });
      await stepper.begin();
      result = await runEpochs(ready);
      bestError = ready.state.bestError;
      phases = await ranks.share(() => phasesOf(readHistory(run).epochs) ?? null);
      if (!result.interrupted && !(await ranks.share(() => finish(ready)))) result = { ...result, interrupted: true };
      if (ranks.rank === 0) await reporter.end(ready);
    }
  }
  // The built-in set has no image files for `predict`: write some.
  const samples = config.data === null && !result.interrupted ? join(run.path, "samples") : undefined;
  if (samples && ranks.rank === 0) await writeSamples(sets.val, samples);
  const ended = {
    run: run.path,
    ...result,
    ...(bestError !== null && { bestError, validated: sets.val.length - val.cache.bad.size }),
    ...(phases && { phases }),
  };
  report({ type: "end", ...(samples && { samples }), ...ended });
  const history = ranks.rank === 0 ? readHistory(run).epochs : [];
  return { ...ended, history, ...(history.length > 0 && { best: bestOf(history) }) };
}

/** The first epoch with the lowest validation error. */
function bestOf(history: readonly EpochRecord[]): EpochRecord {
  return history.reduce((best, epoch) => (epoch.val.top1 < best.val.top1 ? epoch : best));
}

/** The mean image and the state before the first step; undefined when it was stopped. */
async function start(
  { dataset, cache }: Records,
  { record: recordSize, resize }: Network,
  seed: number,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<InitialState | undefined> {
  const onProgress = (done: number, total: number) => {
    signal?.throwIfAborted();
    report({ type: "measure", done, total });
  };
  const known = dataset.statistics;
  if (known?.mean.length === recordSize * recordSize * 3) return { mean: known.mean, state: freshState(known.axes) };
  const measured = await unlessStopped(
    signal,
    measureStatistics(dataset, { recordSize, resize, seed, cache, onProgress }),
  );
  if (!measured) return undefined;
  for (const [i, reason] of cache.bad) report({ type: "bad", name: dataset.nameOf(i), reason });
  return { mean: measured.mean, state: freshState(measured.axes) };
}

/** Shares rank 0's initial state with every rank. */
async function startTogether(
  ranks: Ranks,
  recordSize: number,
  make: () => Promise<InitialState | undefined>,
): Promise<InitialState | undefined> {
  if (ranks.size === 1) return make();
  const made = ranks.rank === 0 ? await make() : undefined;
  const state = await ranks.share(() => made?.state ?? null);
  if (!state) return undefined;
  const mean = made?.mean ?? new Float32Array(recordSize * recordSize * 3);
  await ranks.broadcast([mean]);
  return { mean, state };
}

/** What a person waits, and few photos are not worth more epochs. */
const DEFAULT_LENGTH = { minutes: 5, epochs: 20 };

/** Of trainings without colour noise, which don't need them. */
const NO_AXES: State["axes"] = {
  values: [0, 0, 0],
  vectors: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
};

interface InitialState {
  readonly mean: Float32Array;
  readonly state: State;
}

/**
 * The configuration as far as it is known before the data are opened, to report mistakes early. Without a named
 * network, `alexnet` stands in.
 */
async function firstConfig(options: TrainOptions, note: (line: string) => void): Promise<TrainConfig> {
  if (options.allowChangedData) throw new UsageError(`${option("allowChangedData")} is only for ${option("resume")}`);
  const data = options.data === undefined ? null : locate(options.data);
  const val = options.val === undefined ? null : locate(options.val);
  const from = [undefined, "none"].includes(options.from) ? undefined : (await findWeights(options.from, note)).path;
  const source = from === undefined ? undefined : sourceOf(from);
  const said = options.model === undefined ? undefined : await networkNamed(options.model);
  if (source && said && said.name !== source.network.name) {
    throw new UsageError(
      `${option("model")} ${said.name}: ${from} has weights of ${source.network.name}; leave one out`,
    );
  }
  const network = source?.network ?? said ?? findNetwork(PHOTOS);
  return makeConfig({ ...options, from: from && resolve(from) }, network, data, val);
}

async function networkNamed(model: NonNullable<TrainOptions["model"]>): Promise<Network> {
  return typeof model === "string" ? openNetwork(model) : defineNetwork(model);
}

/**
 * Chooses what was not specified by the data: the weights to start from or else the network, and the rate for the number
 * of classes.
 */
async function suitedConfig(
  options: TrainOptions,
  given: TrainConfig,
  set: Dataset,
  note: (line: string) => void,
): Promise<TrainConfig> {
  const { model, from } = options;
  if (given.from !== null) return fineTuning(options, given, set);
  const suited = model === undefined ? await suitedModel(given.data, set) : undefined;
  if (suited === PHOTOS && from === undefined) {
    const started = { ...options, from: FOR_PHOTOS };
    return fineTuning(started, await firstConfig(started, note).catch(offerScratch), set);
  }
  const network = suited === undefined ? await networkNamed(model!) : findNetwork(suited);
  const config = makeConfig({ ...options, from: undefined }, network, given.data, given.val);
  return saysRate(options) ? config : rateForClasses(config, set.classes.length);
}

function saysRate({ rate, recipe }: TrainOptions): boolean {
  return (rate ?? recipe?.schedule) !== undefined;
}

/** Whether the training begins with a new last layer alone. */
function hasNewHead({ from }: TrainConfig, set: Dataset): boolean {
  if (from === null) return false;
  const { network, classes } = sourceOf(from);
  return !sameClasses(classes, set.classes) && hasHead(place(network));
}

/** @throws the error, with the way to do without pretrained weights if those can't be fetched */
function offerScratch(error: unknown): never {
  if (!(error instanceof DataError)) throw error;
  throw new DataError(`${error.message}; or train from scratch, which takes hours: ${setting("from", "none")}`, {
    cause: error,
  });
}

/**
 * For the same classes, the network's recipe at a tenth of the rate; for others, what suits a new last layer. Uneven
 * classes are balanced.
 */
function fineTuning(options: TrainOptions, given: TrainConfig, set: Dataset): TrainConfig {
  const { network, classes, isFolded } = sourceOf(given.from!);
  const isAsked = options.balance !== undefined || given.weights !== null || given.lossWeights !== null;
  const isUneven = !isAsked && imbalanceOf(set) !== undefined;
  const balance = isUneven ? 1 : given.balance;
  if (sameClasses(classes, set.classes)) {
    const config = saysRate(options) ? given : scaleRate(rateForClasses(given, set.classes.length), 0.1);
    return { ...config, balance };
  }
  const [first, last] = [learningLayers(network)[0]!, learningLayers(network).at(-1)!];
  const defaults: TrainOptions = {
    from: given.from!,
    statistics: "frozen",
    ...(options.epochs === undefined && options.minutes === undefined && DEFAULT_LENGTH),
    ...(isFolded && { freeze: first }),
  };
  const config = makeConfig(
    { ...defaults, ...known(options), from: given.from! },
    network,
    given.data,
    given.val,
    fineTuningRecipe(network),
  );
  // Where the last layer can't be trained before the others, it learns faster.
  if (hasHead(place(network)) || options.rates !== undefined || options.recipe?.groups) return { ...config, balance };
  return { ...config, balance, groups: [...config.groups, { of: last, rate: 10 }] };
}
