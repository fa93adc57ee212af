/**
 * What comes before a training's first step: a look for duplicates, filters made of the images, a new last layer, the
 * number of epochs.
 */
import { nameWithin } from "../../data/dataset.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import { means } from "../../inference/scores.ts";
import { writeDuplicates } from "../../runs/findings.ts";
import { keepCalibration } from "../../runs/weights.ts";
import { unlessStopped } from "../../signals.ts";
import { calibrationOf } from "../../training/later/calibrate.ts";
import { passesOf } from "../../training/later/collect.ts";
import { hasHead, trainHead } from "../../training/later/head.ts";
import { epochsWithin, measurePace, withinLimit } from "../../training/later/plan.ts";
import { whiten } from "../../training/later/whiten.ts";
import { epochLength, keepEpoch, type Session } from "../../training/session.ts";
import type { Calibrated } from "../../weights/checkpoint.ts";
import { keepLabelIssues } from "./label_issues.ts";
import { duplicatesInWords, findDuplicates } from "../shared/duplicates.ts";

interface Preparation {
  /** Whether the last layer's weights are those it was initialised with, and the others trained. */
  readonly isNewLast: boolean;
  /** Whether a new last layer has been saved as epoch 0 already: only the number of epochs is still to be chosen. */
  readonly isResumed: boolean;
  /** When the training's minutes began, by `performance.now`. */
  readonly began: number;
  readonly ranks: Ranks;
}

/** The share of the minutes that a new last layer may take. */
const HEAD_SHARE = 0.5;

/**
 * Prepares a new training. One process does it; the others wait for what it decides.
 * @returns the session to run; undefined when it was stopped
 * @throws as `whiten` and `trainHead`
 */
export async function prepare(
  session: Session,
  { isNewLast, isResumed, began, ranks }: Preparation,
): Promise<Session | undefined> {
  const { config, model, deviceMean, stepper, train, val, report } = session;
  const msLeft = () => (config.minutes === null ? Infinity : began + 60_000 * config.minutes - performance.now());
  const decided = await ranks.share(async () => {
    if (!isResumed && !(await tellDuplicates(session))) return null;
    const start = performance.now();
    if (config.from === null) await whiten(model, deviceMean, train);
    const preparedMs = performance.now() - start;
    const head = isNewLast && hasHead(model.layers);
    if (head && !(await headFirst(session, HEAD_SHARE * msLeft()))) return null;
    const { minutes, batch } = config;
    if (minutes === null) return { epochs: config.epochs, preparedMs, state: session.state, limitMs: undefined };
    const pace = await measurePace(model, deviceMean, {
      ...{ train, val, epochImages: epochLength(config, train.dataset) / ranks.size },
      batch: Math.min(batch, stepper.share.count),
    });
    const epochs = Math.min(config.epochs, Math.max(head || isResumed ? 0 : 1, epochsWithin(msLeft(), pace)));
    report({ type: "plan", epochs, seconds: (epochs * pace.epochMs) / 1000 });
    return { epochs, preparedMs, state: session.state, limitMs: msLeft() - pace.afterMs };
  });
  if (!decided) return undefined;
  const { epochs, preparedMs, state, limitMs } = decided;
  const counted = { ...config, epochs };
  await session.run.writeConfig(counted);
  const prepared = { ...session, config: counted, state, preparedMs };
  if (limitMs === undefined) return prepared;
  const within = withinLimit(limitMs);
  return { ...prepared, epochsInTime: (done, ms) => ranks.share(async () => within(done, ms)) };
}

/**
 * Says which validation images are nearly the same as training images, and keeps it in the run's folder. The sets that
 * come as pixels of one size (CIFAR, the built-in one) are left out: their split is what others' results are for.
 * @returns false when it was stopped
 */
async function tellDuplicates({ train, val, model, run, report, signal }: Session): Promise<boolean> {
  if (train.dataset.imageSize !== undefined) return true;
  const searching = findDuplicates(train, val, {
    network: model.network,
    progress(done, total) {
      signal?.throwIfAborted();
      report({ type: "compare", done, total });
    },
    onBad: (name, reason) => report({ type: "bad", name, reason }),
  });
  const found = (await unlessStopped(signal, searching)) ?? [];
  if (signal?.aborted) return false;
  if (found.length === 0) return true;
  report({ type: "warning", line: duplicatesInWords(found, train.dataset, val.dataset) });
  const pairs = found.map(
    (pair) => [nameWithin(val.dataset, pair.val), nameWithin(train.dataset, pair.train)] as const,
  );
  await writeDuplicates(run, { images: val.dataset.length, pairs });
  return true;
}

/** Trains the last layer, and keeps the result as epoch 0. @returns false when it was stopped */
async function headFirst(session: Session, withinMs: number): Promise<boolean> {
  const { model, deviceMean, train, val, run, report } = session;
  const start = performance.now();
  let calibrated: Calibrated | undefined;
  const head = await trainHead(model, deviceMean, {
    ...passesOf(session),
    ...(session.weights && { weights: session.weights }),
    ...(session.lossWeights && { lossWeights: session.lossWeights }),
    withinMs,
    trained: async (...features) => void (calibrated = await calibrationOf(model, ...features)),
  });
  if (!head) return false;
  const { answers, unseen, train: trained, rate, imagesPerSecond, images, views } = head;
  report({ type: "head", images, of: train.dataset.length, views });
  const record = {
    ...{ epoch: 0, step: 0, train: trained, val: means(answers.scores(model.classes).total) },
    ...{ rate, imagesPerSecond, dataWait: 0, seconds: (performance.now() - start) / 1000 },
  };
  await keepEpoch(session, record, answers);
  if (calibrated) await keepCalibration(run.best, calibrated);
  await keepLabelIssues(run, [
    { part: "training", dataset: train.dataset, answers: unseen },
    { part: "validation", dataset: val.dataset, answers },
  ]);
  for (const watcher of session.watchers) await watcher.afterEpoch?.(session);
  return true;
}
