/** A training on an open device, from the check of its memory to the last report. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { RecordCache } from "../../data/loader.ts";
import { writeSamples } from "../../data/samples.ts";
import type { Backend } from "../../engine/backend.ts";
import { Model } from "../../net/model.ts";
import { createOptimizer } from "../../net/optimizers.ts";
import { uploadMean } from "../../net/passes.ts";
import { freshSchedule, rateAt } from "../../net/schedule.ts";
import { describeDevice, RunElsewhere } from "../../ranks/agreement.ts";
import { openStepper } from "../../ranks/steppers.ts";
import { phasesOf, readHistory } from "../../runs/history.ts";
import { keepImages } from "../../runs/recorded.ts";
import type { EpochRecord, StartRecord } from "../../runs/records.ts";
import type { Run } from "../../runs/runs.ts";
import { networkOf } from "../../runs/settings.ts";
import { imagesPerStep } from "../../training/later/accumulate.ts";
import { restore, type Restored } from "../../training/restore.ts";
import { epochLength, runEpochs, type Session } from "../../training/session.ts";
import { Reporter } from "../report/reporter.ts";
import { classWeights } from "./classes.ts";
import { finish } from "./finish.ts";
import { initialState, shareState } from "./initial_state.ts";
import { batchOf, type TrainJob, type TrainResult } from "./job.ts";
import { fitted } from "./memory.ts";
import { prepare } from "./prepare.ts";

/** What a training came to, as far as the report at its end says it. */
type Outcome = Pick<TrainResult, "interrupted" | "val" | "bestError" | "phases">;

/** @throws as `train` */
export async function trainOn(given: TrainJob, backend: Backend): Promise<TrainResult> {
  const job = { ...given, config: await fitted(given, backend) };
  const { config, whole, sets, folder, report, watchers, ranks, signal } = job;
  const network = networkOf(config);
  const batch = batchOf(config, sets);
  const model = new Model(network, backend, sets.train.classes.length);
  model.half = config.precision === "half";
  const optimizerOf = (model: Model) => createOptimizer(model, config);
  const optimizer = optimizerOf(model);
  const images = imagesPerStep(config, sets.train.length);
  const steps = { ...config, batch: images, parts: Math.ceil(images / batch) };
  const stepper = openStepper({ model, optimizer }, optimizerOf, steps, ranks);
  // Nothing in a run's folder is changed until all of it has been checked.
  const from = folder.run && restore(folder.run, config, sets.train.classes, model, optimizer, folder.warn);
  const weights = classWeights(config, sets.train);
  const isNew = folder.run === undefined;
  const path = await ranks.share(() => (folder.run ?? folder.begin(config.network)).path);
  const run = folder.run ?? new RunElsewhere(path);
  if (from?.isPrevious) run.putBack();
  if (ranks.rank === 0 && config.data !== null && (isNew || !existsSync(run.imagesFile))) {
    await keepImages(run, whole, (line) => report({ type: "note", line }));
  }
  // A new last layer is saved before the number of epochs is chosen: of a training that ended between the two,
  // config.json has the most epochs that there may be, and start.json still has the minutes.
  const isCounted = from !== undefined && (config.minutes === null || run.readStart()?.minutes === undefined);
  await run.writeConfig(config);
  await run.rewind(from?.state ?? { step: 0, epoch: 0 });
  const started = startOf(job, run, model, backend, from, isCounted);
  report(started);
  const records = (dataset: Dataset) => ({ dataset, cache: new RecordCache(dataset, network.record) });
  const [train, val] = [records(sets.train), records(sets.val)];
  model.freeze(config.freeze);
  model.statisticsFrozen = config.freezeStatistics;
  const begun = await shareState(ranks, network, async () =>
    from ? { ...from, isNewLast: false } : initialState(model, { config, train, report, signal }),
  );
  let outcome: Outcome = { interrupted: true };
  if (begun) {
    await run.writeStart(started);
    const reporter = new Reporter(run, report);
    const session: Session = {
      run,
      config: { ...config, batch },
      model,
      optimizer,
      mean: begun.mean,
      deviceMean: uploadMean(backend, network.record, begun.mean),
      state: begun.state,
      report,
      train,
      val,
      watchers: ranks.rank === 0 ? [reporter, ...watchers] : [],
      stepper,
      ...weights,
      ...(signal && { signal }),
    };
    // Only the first process knows what was saved.
    const saved = await ranks.share(() => ({ isResumed: from !== undefined, isCounted }));
    const preparation = { isNewLast: begun.isNewLast, isResumed: saved.isResumed, began: job.began, ranks };
    const ready = saved.isCounted ? session : await prepare(session, preparation);
    if (ready) {
      outcome = await runToEnd(job, ready, started);
      if (ranks.rank === 0) await reporter.end(ready);
    }
  }
  // The built-in set has no image files for `predict`: write some.
  const samples = config.data === null && !outcome.interrupted ? join(run.path, "samples") : undefined;
  if (samples && ranks.rank === 0) await writeSamples(sets.val, samples);
  const validated = outcome.bestError === undefined ? {} : { validated: sets.val.length - val.cache.bad.size };
  const ended = { run: run.path, ...outcome, ...validated };
  report({ type: "end", ...(samples && { samples }), ...ended });
  const history = ranks.rank === 0 ? readHistory(run).epochs : [];
  return { ...ended, history, ...(history.length > 0 && { best: bestOf(history) }) };
}

/** What is reported of a training, and kept in its folder, when it begins. */
function startOf(
  { config, whole, sets, ranks, begunWith }: TrainJob,
  run: Run,
  { network, parameters }: Model,
  backend: Backend,
  from: Restored | undefined,
  isCounted: boolean,
): StartRecord {
  return {
    type: "start",
    run: run.path,
    network: network.name,
    parameters: parameters.reduce((sum, { size }) => sum + size, 0),
    device: describeDevice(ranks, backend),
    data: sets.train.name,
    train: sets.train.length,
    val: sets.val.length,
    classes: sets.train.classes.length,
    batch: batchOf(config, sets),
    ...(config.accumulate > 1 && { accumulate: config.accumulate }),
    epochs: config.epochs,
    ...(whole.isHeldOut && config.fold === null && { isHeldOut: true }),
    ...(config.epochImages !== null && { epochImages: epochLength(config, sets.train) }),
    ...(!isCounted && config.minutes !== null && { minutes: config.minutes }),
    ...(begunWith && { options: begunWith }),
    rate: rateAt(config.schedule, from?.state.schedule ?? freshSchedule(), from?.state.epoch ?? 0, config.epochs || 1),
    ...(from && { from: { epoch: from.state.epoch, batch: from.state.batch } }),
  };
}

/** Runs the epochs, and what comes after the last. */
async function runToEnd({ ranks }: TrainJob, session: Session, started: StartRecord): Promise<Outcome> {
  const { run, config, stepper, state } = session;
  // The number of epochs has been chosen.
  const { minutes: _, ...counted } = started;
  await run.writeStart({ ...counted, epochs: config.epochs });
  await stepper.begin();
  const { epochs, ...result } = await runEpochs(session);
  if (epochs < config.epochs) await run.writeStart({ ...counted, epochs });
  const phases = await ranks.share(() => phasesOf(readHistory(run).epochs) ?? null);
  const isFinished = !result.interrupted && (await ranks.share(() => finish(session)));
  return {
    ...result,
    interrupted: !isFinished,
    ...(state.bestError !== null && { bestError: state.bestError }),
    ...(phases && { phases }),
  };
}

/** The first epoch with the lowest validation error. */
function bestOf(history: readonly EpochRecord[]): EpochRecord {
  return history.reduce((best, epoch) => (epoch.val.top1 < best.val.top1 ? epoch : best));
}
