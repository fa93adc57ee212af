/** Training from beginning to end: choose data, model and device, measure the data, run the epochs. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Backend } from "../backends/backend.ts";
import type { Dataset } from "../data/dataset.ts";
import { readHeader } from "../data/header.ts";
import { RecordCache } from "../data/loader.ts";
import { locate, type Opened } from "../data/open.ts";
import { balancedWeights, namedWeights } from "../data/sampling.ts";
import { writeSamples } from "../data/samples.ts";
import { measureStatistics } from "../data/statistics.ts";
import { CheckpointError, UsageError } from "../errors.ts";
import { openCheckpoint, type Checkpoint } from "../model/checkpoint.ts";
import { Model, place } from "../model/model.ts";
import { findNetwork } from "../model/networks.ts";
import { freshSchedule, rateAt } from "../optim/schedule.ts";
import { Sgd } from "../optim/sgd.ts";
import { changeConfig, makeConfig, rateForClasses, scaleRate, type TrainConfig, type TrainOptions } from "./config.ts";
import { openDevice } from "./device.ts";
import type { Report, StartEvent } from "./events.ts";
import { beginWith, learningLayers, sameClasses, sourceOf } from "./fine_tune.ts";
import { checkFit } from "./fit.ts";
import { uploadMean } from "./passes.ts";
import { Reporter } from "./reporter.ts";
import { closeSets, openSets } from "./sets.ts";
import { findRun, namedRun, newRun, type Run } from "./runs.ts";
import type { Means } from "./scores.ts";
import { freshState, isState, runEpochs, type Records, type Session, type State } from "./session.ts";
import type { Watcher } from "./watcher.ts";

export interface TrainResult {
  readonly run: string;
  readonly interrupted: boolean;
  /** The last validation of this call. */
  readonly val?: Means;
}

/**
 * Trains a model, or goes on with a run.
 * @param signal stops it after the step under way; everything is saved
 * @param watchers look on, between steps and after epochs
 * @throws UsageError, DataError, DeviceError, CheckpointError or DivergedError
 */
export async function train(
  options: TrainOptions,
  report: Report = () => {},
  signal?: AbortSignal,
  watchers: readonly Watcher[] = [],
): Promise<TrainResult> {
  const resumed = options.resume === undefined ? undefined : findRun(options.resume);
  const note = (line: string) => report({ type: "note", line });
  const given = resumed ? changeConfig(resumed.readConfig(), options) : firstConfig(options);
  const sets = await openSets(given, note);
  try {
    const config = resumed ? given : await suitedConfig(options, given, sets.train);
    const backend = await openDevice({
      device: config.device,
      ...(config.blas === null ? {} : { blas: config.blas }),
      ...(config.threads === null ? {} : { threads: config.threads }),
      // A run that was begun before there was this setting has none.
      ...(typeof config.tune === "boolean" && { tune: config.tune }),
    });
    try {
      const task = { config, sets, backend, resumed, out: options.out, report, watchers, ...(signal && { signal }) };
      return await trainOn(task);
    } finally {
      await backend.close();
    }
  } finally {
    await closeSets(sets);
  }
}

interface Task {
  readonly config: TrainConfig;
  readonly sets: Opened;
  readonly backend: Backend;
  readonly resumed: Run | undefined;
  readonly out: string | undefined;
  readonly report: Report;
  readonly watchers: readonly Watcher[];
  readonly signal?: AbortSignal;
}

async function trainOn({ config, sets, backend, resumed, out, report, watchers, signal }: Task): Promise<TrainResult> {
  const network = findNetwork(config.network);
  const { classes } = sets.train;
  // A batch larger than the set would be padding for the most part.
  const batch = Math.min(config.batch, sets.train.length);
  checkFit(network.name, place(network, classes.length), batch, backend);
  const model = new Model(network, backend, classes.length);
  const sgd = new Sgd(model, config);
  // Nothing in a run's folder is changed before all of it was found to be right.
  const from = resumed && restore(resumed, config, classes, model, sgd);
  const weights = classWeights(config, sets.train);
  const run = resumed ?? openRun(out, config);
  await run.writeConfig(config);
  await run.rewind(from?.state ?? { step: 0, epoch: 0 });
  const started: StartEvent = {
    type: "start",
    run: run.path,
    network: network.name,
    parameters: model.parameters.reduce((sum, { size }) => sum + size, 0),
    device: backend.description,
    data: sets.train.name,
    train: sets.train.length,
    val: sets.val.length,
    classes: classes.length,
    ignored: sets.train.ignored,
    batch,
    epochs: config.epochs,
    rate: rateAt(config.schedule, from?.state.schedule ?? freshSchedule(), from?.state.epoch ?? 0, config.epochs),
    ...(from && { from: { epoch: from.state.epoch, batch: from.state.batch } }),
  };
  report(started);
  const records = (dataset: Dataset) => ({ dataset, cache: new RecordCache(dataset, network.record) });
  const [train, val] = [records(sets.train), records(sets.val)];
  model.freeze(config.freeze);
  let known: Float32Array | undefined;
  if (!from) {
    model.initialise(config.seed);
    if (config.from !== null) known = beginWith(config.from, model, sets.train).mean;
  }
  const begun = from ?? (await start(train, network.record, config.seed, report, signal));
  let result: Omit<TrainResult, "run"> = { interrupted: true };
  if (begun) {
    const { state } = begun;
    // Weights are used to the mean image that they were learnt with.
    const mean = known ?? begun.mean;
    await run.writeStart(started);
    const reporter = new Reporter(run, report);
    const deviceMean = uploadMean(backend, network.record, mean);
    const session = {
      run,
      config: { ...config, batch },
      model,
      sgd,
      mean,
      deviceMean,
      state,
      report,
      train,
      val,
      watchers: [reporter, ...watchers],
      ...weights,
    };
    result = await runEpochs({ ...session, ...(signal && { signal }) });
    await reporter.end();
  }
  // The built-in set is in no file that could be named to `predict`.
  const samples = config.data === null && !result.interrupted ? join(run.path, "samples") : undefined;
  if (samples) await writeSamples(sets.val, samples);
  report({ type: "end", run: run.path, ...(samples && { samples }), ...result });
  return { run: run.path, ...result };
}

function classWeights({ balance, weights }: TrainConfig, set: Dataset): Pick<Session, "weights"> {
  if (balance === 0 && weights === null) return {};
  const named = namedWeights(set, weights ?? {});
  return { weights: balancedWeights(set, balance).map((weight, label) => weight * named[label]!) };
}

/** What there is before the first step; undefined when it was stopped. */
async function start(
  { dataset, cache }: Records,
  recordSize: number,
  seed: number,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<Start | undefined> {
  const onProgress = (done: number, total: number) => {
    signal?.throwIfAborted();
    report({ type: "measure", done, total });
  };
  const known = dataset.statistics;
  if (known?.mean.length === recordSize * recordSize * 3) return { mean: known.mean, state: freshState(known.axes) };
  try {
    const { mean, axes } = await measureStatistics(dataset, { recordSize, seed, cache, onProgress });
    for (const [i, reason] of cache.bad) report({ type: "bad", name: dataset.nameOf(i), reason });
    return { mean, state: freshState(axes) };
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  }
}

interface Start {
  readonly mean: Float32Array;
  readonly state: State;
}

/**
 * Loads what a run saved last; undefined when it has saved nothing yet.
 * @throws CheckpointError when that is damaged, or of other data or another model than the run's config.json says
 */
function restore(run: Run, config: TrainConfig, classes: readonly string[], model: Model, sgd: Sgd): Start | undefined {
  if (!existsSync(run.last)) return undefined;
  const checkpoint = openCheckpoint(run.last);
  try {
    requireSame(checkpoint, config, classes);
    const { mean, state } = checkpoint;
    if (!isState(state)) throw new CheckpointError(`${run.last}: what it says of the training makes no sense`);
    checkpoint.loadInto(model, sgd.velocities);
    return { mean, state };
  } finally {
    // Closed before the training replaces it, which Windows refuses for open files.
    checkpoint.close();
  }
}

function openRun(out: string | undefined, config: TrainConfig): Run {
  return out === undefined ? newRun(config.network) : namedRun(out);
}

/** What can be said before the data are seen, and is wrong or right already: with any network, if none was named. */
function firstConfig(options: TrainOptions): TrainConfig {
  const data = options.data === undefined ? null : locate(options.data);
  const val = options.val === undefined ? null : locate(options.val);
  const source = options.from === undefined ? undefined : sourceOf(options.from);
  if (source && options.model !== undefined && findNetwork(options.model).name !== source.network.name) {
    throw new UsageError(
      `--model ${options.model}: ${source.path} has weights of ${source.network.name}; leave one out`,
    );
  }
  const model = source?.network.name ?? findNetwork(options.model ?? "alexnet").name;
  return makeConfig({ ...options, ...(source && { from: resolve(source.path) }) }, model, data, val);
}

/** What was not said, chosen for the data: the network, and the rate for their number of classes. */
async function suitedConfig(options: TrainOptions, given: TrainConfig, set: Dataset): Promise<TrainConfig> {
  if (given.from !== null) return fineTuning(options, given, set);
  const model = options.model ?? (await suitedModel(given.data, set));
  const config = makeConfig(options, findNetwork(model).name, given.data, given.val);
  return options.rate === undefined ? rateForClasses(config, set.classes.length) : config;
}

/** Weights that are good already move at a tenth of the rate; a last layer that is new, as fast as in a training from scratch. */
function fineTuning(options: TrainOptions, given: TrainConfig, set: Dataset): TrainConfig {
  const { network, classes } = sourceOf(given.from!);
  const config = options.rate === undefined ? scaleRate(rateForClasses(given, set.classes.length), 0.1) : given;
  if (options.rates !== undefined || sameClasses(classes, set.classes)) return config;
  return { ...config, layerRates: { [learningLayers(network).at(-1)!]: 10 } };
}

/** Images of at most this side are taken for small ones, as CIFAR's. */
const SMALL_SIDE = 64;

/** The model for data of which nothing else was said: the paper's for photos, the 2012 CIFAR network for small images. */
export async function suitedModel(data: string | null, set: Dataset): Promise<string> {
  if (data === null) return "small";
  const image = await set.read(0);
  const size = image.kind === "pixels" ? image : readHeader(image.bytes);
  if (typeof size === "string") return "alexnet";
  return Math.min(size.width, size.height) <= SMALL_SIDE ? "cifar10-18pct" : "alexnet";
}

function requireSame(checkpoint: Checkpoint, config: TrainConfig, classes: readonly string[]): void {
  if (checkpoint.network !== config.network) {
    throw new CheckpointError(
      `${checkpoint.path}: a checkpoint of ${checkpoint.network}, the run is of ${config.network}`,
    );
  }
  if (checkpoint.classes.join("\n") !== classes.join("\n")) {
    throw new CheckpointError(
      `${checkpoint.path}: trained on ${checkpoint.classes.length} classes, the data now has ${classes.length} ` +
        `or others: put the data back as it was, or start a new run`,
    );
  }
}
