/** Training from beginning to end: choose data, model and device, measure the data, run the epochs. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import { readHeader } from "../data/header.ts";
import { RecordCache } from "../data/loader.ts";
import { measureStatistics } from "../data/statistics.ts";
import { CheckpointError } from "../errors.ts";
import { openCheckpoint, type Checkpoint } from "../model/checkpoint.ts";
import { Model, place } from "../model/model.ts";
import { findNetwork } from "../model/networks.ts";
import { Sgd } from "../optim/sgd.ts";
import { changeConfig, makeConfig, type TrainConfig, type TrainOptions } from "./config.ts";
import { openDevice } from "./device.ts";
import type { Report } from "./events.ts";
import { checkFit } from "./fit.ts";
import { uploadMean } from "./passes.ts";
import { openSets } from "./sets.ts";
import { findRun, namedRun, newRun, type Run } from "./runs.ts";
import type { Means } from "./scores.ts";
import { freshState, runEpochs, type Records, type State } from "./session.ts";

export interface TrainResult {
  readonly run: string;
  readonly interrupted: boolean;
  /** The last validation of this call. */
  readonly val?: Means;
}

/**
 * Trains a model, or goes on with a run.
 * @param signal stops it after the step under way; everything is saved
 * @throws UsageError, DataError, DeviceError, CheckpointError or DivergedError
 */
export async function train(
  options: TrainOptions,
  report: Report = () => {},
  signal?: AbortSignal,
): Promise<TrainResult> {
  const resumed = options.resume === undefined ? undefined : findRun(options.resume);
  const config = resumed ? changeConfig(resumed.readConfig() as TrainConfig, options) : await chooseConfig(options);
  const sets = await openSets(config);
  const network = findNetwork(config.network);
  const layers = place(network, sets.train.classes.length);
  // A batch larger than the set would be padding for the most part.
  const batch = Math.min(config.batch, sets.train.length);
  const backend = await openDevice({
    device: config.device,
    ...(config.blas === null ? {} : { blas: config.blas }),
    ...(config.threads === null ? {} : { threads: config.threads }),
  });
  const checkpoint = resumed && existsSync(resumed.last) ? openCheckpoint(resumed.last) : undefined;
  try {
    checkFit(network.name, layers, batch, backend);
    if (checkpoint) requireSame(checkpoint, config, sets.train.classes);
    const run = resumed ?? openRun(options.out, config);
    await run.writeConfig(config);
    const records = (dataset: Dataset) => ({ dataset, cache: new RecordCache(dataset, network.record) });
    const [trainRecords, valRecords] = [records(sets.train), records(sets.val)];
    const model = new Model(network, backend, sets.train.classes.length);
    const sgd = new Sgd(model, config);
    const from = checkpoint?.state as State | undefined;
    await run.rewind(from?.step ?? 0);
    report({
      type: "start",
      run: run.path,
      network: network.name,
      parameters: model.parameters.reduce((sum, { size }) => sum + size, 0),
      device: backend.description,
      data: sets.train.name,
      train: sets.train.length,
      val: sets.val.length,
      classes: sets.train.classes.length,
      ignored: sets.train.ignored,
      batch,
      epochs: config.epochs,
      ...(from ? { from: { epoch: from.epoch, batch: from.batch } } : {}),
    });
    const { mean, state } =
      checkpoint && from
        ? { mean: checkpoint.mean, state: from }
        : await start(trainRecords, network.record, config.seed, report);
    if (checkpoint) checkpoint.loadInto(model, sgd.velocities);
    else model.initialise(config.seed);
    const deviceMean = uploadMean(backend, network.record, mean);
    const session = { run, config: { ...config, batch }, model, sgd, mean, deviceMean, state, report };
    const result = await runEpochs({
      ...session,
      train: trainRecords,
      val: valRecords,
      ...(signal ? { signal } : {}),
    });
    report({ type: "end", run: run.path, ...result });
    return { run: run.path, ...result };
  } finally {
    checkpoint?.close();
    await backend.close();
    await sets.train.close();
    await sets.val.close();
  }
}

/** What there is before the first step. */
async function start({ dataset, cache }: Records, recordSize: number, seed: number, report: Report) {
  const onProgress = (done: number, total: number) => report({ type: "measure", done, total });
  const { mean, axes } = await measureStatistics(dataset, { recordSize, seed, cache, onProgress });
  return { mean, state: freshState(axes) };
}

function openRun(out: string | undefined, config: TrainConfig): Run {
  return out === undefined ? newRun(config.network) : namedRun(out);
}

async function chooseConfig(options: TrainOptions): Promise<TrainConfig> {
  const data = options.data === undefined ? null : resolve(options.data);
  const val = options.val === undefined ? null : resolve(options.val);
  const model = options.model ?? (await suitedModel(data, val));
  return makeConfig(options, findNetwork(model).name, data, val);
}

/** Images of at most this side are taken for small ones, as CIFAR's. */
const SMALL_SIDE = 64;

/** The model for data of which nothing else was said: the paper's for photos, the 2012 CIFAR network for small images. */
async function suitedModel(data: string | null, val: string | null): Promise<string> {
  if (data === null) return "small";
  const { train: set, val: other } = await openSets({ data, val, holdOut: 0.1, seed: 0 });
  try {
    const image = await set.read(0);
    const size = image.kind === "pixels" ? image : readHeader(image.bytes);
    if (typeof size === "string") return "alexnet";
    return Math.min(size.width, size.height) <= SMALL_SIDE ? "cifar10-18pct" : "alexnet";
  } finally {
    await set.close();
    await other.close();
  }
}

/** @throws CheckpointError when a run's checkpoint is of other data or another model than its config.json says */
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
