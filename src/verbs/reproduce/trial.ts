/** One training for a claim, in a folder of its own: already done, to be resumed, or new. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ViewCount } from "../../data/augmentation.ts";
import { locate } from "../../data/open.ts";
import { openSets } from "../../data/select.ts";
import type { DeviceOptions } from "../../devices/open.ts";
import { AlexNetError, UsageError } from "../../errors.ts";
import { means } from "../../inference/scores.ts";
import { findNetwork } from "../../net/networks.ts";
import { option } from "../../option_names.ts";
import { given } from "../../options.ts";
import { makeConfig } from "../../runs/config.ts";
import { readHistory } from "../../runs/history.ts";
import type { EpochRecord } from "../../runs/records.ts";
import { Run } from "../../runs/runs.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import type { TrainOptions } from "../../runs/train_options.ts";
import { unlessStopped } from "../../signals.ts";
import type { Report } from "../../training/events.ts";
import { evaluate } from "../evaluate/evaluate.ts";
import { train } from "../train/train.ts";
import { isRace, type Arm, type ArmComparison, type Claim, type Race, type Size } from "./claims.ts";

interface TrialOptions extends DeviceOptions {
  readonly data?: string;
  readonly val?: string;
  readonly full: boolean;
  /** The folder of the runs. */
  readonly out: string;
}

/** The result of a training. Errors are fractions. */
export interface TrialOutcome {
  readonly seed: number;
  /** After the last epoch, over the arm's views. */
  readonly testError: number;
  readonly trainError: number;
  readonly epochs: number;
  /** Images per epoch. */
  readonly images: number;
  /** Training time, without validation. */
  readonly seconds: number;
  readonly device: string;
  /** Whether it reached the claim's training error. */
  readonly reached?: boolean;
}

interface Watched {
  readonly report: Report;
  readonly signal: AbortSignal;
}

/**
 * Trains and tests an arm of a claim, or what is left of that.
 * @returns undefined when it was stopped
 * @throws UsageError when the folder holds a run with other data or of another length; as `train` and `evaluate`
 */
export async function runTrial(
  claim: Claim,
  arm: Arm,
  seed: number,
  options: TrialOptions,
  context: Watched,
): Promise<TrialOutcome | undefined> {
  const run = new Run(join(options.out, `${nameOf(claim, arm, options.full)}-seed${seed}`));
  if (!isDone(claim, run)) {
    if (!(await trainArm(claim, arm, seed, run, options, context))) return undefined;
  } else requireSame(run, run.readConfig(), configOf(trainOptions(claim, arm, seed, options)), isRace(claim));
  const { epochs } = readHistory(run);
  const [last, start] = [epochs.at(-1), run.readStart()];
  if (!last || !start) throw new AlexNetError(`${run.path}: log.jsonl or start.json is damaged: delete the folder`);
  const testError =
    arm.views === undefined ? last.val.top1 : await testViews(run, arm.views, deviceOf(options), context.signal);
  if (testError === undefined) return undefined;
  return {
    ...{ seed, testError },
    trainError: last.train.top1,
    epochs: last.epoch,
    ...{ images: start.epochImages ?? start.train, device: start.device },
    seconds: epochs.reduce((sum, epoch) => sum + epoch.seconds, 0),
    ...("until" in claim && claim.until && { reached: last.train.top1 <= claim.until.trainError }),
  };
}

/** Arms with the same training share its run: full sizes are all the same. */
function nameOf(claim: Claim, { model, augment, rate }: Arm, full: boolean): string {
  if (isRace(claim)) return claim.name;
  const size = full ? "full" : claim.sizes.default.name;
  const parts = [model, augment, rate === undefined ? undefined : `rate${rate}`, size];
  return parts.filter((part) => part !== undefined).join("-");
}

function isDone(claim: Claim, run: Run): boolean {
  if (!existsSync(join(run.path, "config.json"))) return false;
  const last = readHistory(run).epochs.at(-1);
  return last !== undefined && (last.epoch >= run.readConfig().epochs || hasArrived(claim, last));
}

/** Whether the claim's training error is reached. */
function hasArrived(claim: Claim, { train: { top1 } }: Pick<EpochRecord, "train">): boolean {
  return "until" in claim && claim.until !== undefined && top1 <= claim.until.trainError;
}

/** @returns whether it finished */
async function trainArm(
  claim: Claim,
  arm: Arm,
  seed: number,
  run: Run,
  options: TrialOptions,
  { report, signal }: Watched,
): Promise<boolean> {
  const on = deviceOf(options);
  let begun = existsSync(join(run.path, "config.json"));
  if (begun && isRace(claim)) {
    // An interrupted race has no valid time.
    rmSync(run.path, { recursive: true });
    begun = false;
  }
  const wanted = trainOptions(claim, arm, seed, options);
  if (begun) requireSame(run, run.readConfig(), configOf(wanted), false);
  const size = isRace(claim) ? await raceSize(claim, wanted, on, options, signal) : {};
  if (!size || signal.aborted) return false;
  const arrived = new AbortController();
  const watch: Report = (event) => {
    report(event);
    if (event.type === "epoch" && hasArrived(claim, event)) arrived.abort();
  };
  const either = AbortSignal.any([signal, arrived.signal]);
  const { interrupted } = await train({
    ...(begun ? { resume: run.path } : { ...wanted, ...size, out: run.path }),
    ...{ ...on, onEvent: watch, signal: either },
  });
  return !interrupted || arrived.signal.aborted;
}

/** The options of an arm's training; for a race, without its length. */
export function trainOptions(
  claim: Claim,
  { model, augment, rate }: Arm,
  seed: number,
  { data, val, full }: Pick<TrialOptions, "data" | "val" | "full">,
): TrainOptions & { readonly model: string } {
  const { epochs, limit }: Partial<Size> = isRace(claim) ? {} : sizeOf(claim, full);
  return { model, seed, ...given({ epochs, limit, data, val, augment, rate }) };
}

export function deviceOf({ device, blas, threads, tune }: DeviceOptions): DeviceOptions {
  return given({ device, blas, threads, tune });
}

export function sizeOf({ sizes }: ArmComparison, full: boolean) {
  return full ? sizes.full : sizes.default;
}

/** Number of images and epochs with which the speed is measured before a race. */
const PACE_IMAGES = 9600;
const PACE_EPOCHS = 4;
/** Safety margin, since the speed varies and a race that ends late does not count. */
const MARGIN = 0.9;

/** As many epochs, of all images or of most, as fit the race's time; undefined if it was stopped. */
async function raceSize(
  { seconds }: Race,
  wanted: TrainOptions & { readonly model: string },
  on: DeviceOptions,
  { out }: TrialOptions,
  signal: AbortSignal,
): Promise<RaceLength | undefined> {
  const folder = join(out, "pace");
  rmSync(folder, { recursive: true, force: true });
  const epochs: EpochRecord[] = [];
  const listen: Report = (event) => {
    if (event.type === "epoch") epochs.push(event);
  };
  await train({ ...wanted, ...on, epochs: PACE_EPOCHS, limit: PACE_IMAGES, out: folder, onEvent: listen, signal });
  rmSync(folder, { recursive: true, force: true });
  await using sets = await openSets(configOf(wanted));
  const [first, ...others] = epochs;
  if (!first || others.length < PACE_EPOCHS - 1) return undefined;
  // In the first epoch, code is compiled and filters are made of the images: that takes its time once.
  const each = others.reduce((sum, epoch) => sum + epoch.seconds, 0) / others.length;
  const pace = others.reduce((sum, epoch) => sum + epoch.imagesPerSecond, 0) / others.length;
  return raceLength((seconds - Math.max(0, first.seconds - each)) * pace, sets.train.length);
}

type RaceLength = Required<Pick<TrainOptions, "epochs" | "epochImages">>;

/**
 * Number of epochs, and of images in each, for a race with time for about `most` training images.
 * @param train number of images that there are
 */
export function raceLength(most: number, train: number): RaceLength {
  const total = Math.floor(MARGIN * most);
  const epochs = Math.max(1, Math.ceil(total / train));
  return { epochs, epochImages: Math.max(1, Math.min(train, Math.floor(total / epochs))) };
}

function configOf(options: TrainOptions & { readonly model: string }): TrainConfig {
  const [data, val] = [options.data, options.val].map((path) => (path === undefined ? null : locate(path)));
  return makeConfig(options, findNetwork(options.model), data!, val!);
}

/** @throws UsageError when an existing run has other data, or another length */
function requireSame(run: Run, config: TrainConfig, wanted: TrainConfig, isOfRace: boolean): void {
  const keys = ["network", "data", "val", "seed", "augmentation", ...(isOfRace ? [] : ["epochs", "limit"])] as const;
  const other = (keys as readonly (keyof TrainConfig)[]).find(
    (key) => JSON.stringify(config[key]) !== JSON.stringify(wanted[key]),
  );
  if (other === undefined) return;
  throw new UsageError(
    `${run.path} holds a run whose ${other} is ${JSON.stringify(config[other])}, not ${JSON.stringify(wanted[other])}: ` +
      `name another ${option("out")}`,
  );
}

/** The test error of a run's last weights; undefined when it was stopped. */
async function testViews(
  run: Run,
  views: ViewCount,
  on: DeviceOptions,
  signal: AbortSignal,
): Promise<number | undefined> {
  const tested = await unlessStopped(signal, evaluate({ ...on, model: run.last, views, signal }));
  return tested && means(tested.total).top1;
}
