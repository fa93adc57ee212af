/** A whole training: opens the data, chooses the settings, and trains on a device. */
import { divide } from "../../data/inventory.ts";
import { openWhole, reduceSets, type Selection } from "../../data/select.ts";
import { UsageError } from "../../errors.ts";
import { option } from "../../option_names.ts";
import { agree, fingerprint, settingsOf } from "../../ranks/agreement.ts";
import { CONTEXT, type Context } from "../../ranks/context.ts";
import { ALONE } from "../../ranks/ranks.ts";
import { shareFor } from "../../ranks/steppers.ts";
import { keptOptions } from "../../runs/command.ts";
import { changeConfig } from "../../runs/config.ts";
import { divisionOf, requireData } from "../../runs/recorded.ts";
import { findRun } from "../../runs/runs.ts";
import { TRAIN_OPTIONS, type TrainOptions } from "../../runs/train_options.ts";
import { validate } from "../../schema.ts";
import type { TrainEvent } from "../../training/events.ts";
import { imagesPerStep } from "../../training/later/accumulate.ts";
import type { Watcher } from "../../training/session.ts";
import { firstConfig, hasNewHead, suitedConfig } from "./choose.ts";
import { remarksOnClasses } from "./classes.ts";
import { trainOnDevices } from "./devices.ts";
import type { TrainResult } from "./job.ts";
import { RunFolder } from "./run_folder.ts";

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
  const mayCut = options.resume === undefined && config.split === null && !saysBatch(options);
  const rest = { report, watchers, ranks, ...(signal && { signal }), ...(begunWith && { begunWith }) };
  return await trainOnDevices({ config, mayCut, whole, sets, folder, began, ...rest });
}

/** Those of the sets that are given open, not by name. */
function inMemory({ data, val }: TrainOptions): Partial<Selection> {
  return { ...(typeof data === "object" && { data }), ...(typeof val === "object" && { val }) };
}

function saysBatch({ batch, accumulate, recipe }: TrainOptions): boolean {
  return (batch ?? accumulate ?? recipe?.batch) !== undefined;
}
