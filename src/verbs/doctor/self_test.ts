/** A short training on the built-in set, exactly as `bun run train` does it, with data, kernels and checkpoints. */
import { join } from "node:path";
import type { DeviceOptions } from "../../devices/open.ts";
import { temporaryFolder } from "../../io/temporary.ts";
import type { Report } from "../../training/events.ts";
import { train } from "../train/train.ts";

/** The validation loss must fall below this; chance is ln 10 = 2.30 for ten classes. */
export const LOSS_BOUND = 1;
/** Small enough for a software GPU: 20 steps an epoch, and four epochs are enough. */
const BATCH = 32;
const IMAGES = 640;
const EPOCHS = 8;
const LIMIT_MS = 60_000;

export interface TrainingReport {
  /** Loss of the first step, and of the last validation or, before the first one, of the steps so far. */
  readonly firstLoss: number;
  readonly loss: number;
  readonly steps: number;
  readonly imagesPerSecond: number;
  readonly seconds: number;
  /** "slow": time ran out before the loss was below the bound. */
  readonly result: "learned" | "slow" | "failed";
}

/**
 * Trains until the loss is below the bound, or for `limitMs`.
 * @throws AlexNetError as `train` does
 */
export async function trainShortly(
  options: DeviceOptions,
  progress: (line: string) => void,
  limitMs = LIMIT_MS,
): Promise<TrainingReport> {
  const start = performance.now();
  using folder = temporaryFolder("alexnet-doctor-");
  const stop = new AbortController();
  let hasLearned = false;
  let [firstLoss, loss, steps, imagesPerSecond] = [NaN, NaN, 0, 0];
  const onEvent: Report = (event) => {
    if (event.type === "step") {
      if (steps++ === 0) firstLoss = event.loss;
      if (event.epoch === 1) loss = event.loss;
      imagesPerSecond = event.imagesPerSecond;
      progress(`loss ${event.loss.toFixed(3)} in epoch ${event.epoch}, step ${event.batch}`);
    } else if (event.type === "epoch") {
      loss = event.val.loss;
      hasLearned = loss < LOSS_BOUND;
      if (hasLearned) stop.abort();
    }
    if (steps > 0 && performance.now() - start > limitMs) stop.abort();
  };
  await train({
    ...{ ...options, model: "small", limit: IMAGES, batch: BATCH, epochs: EPOCHS, out: join(folder.path, "run") },
    ...{ onEvent, signal: stop.signal },
  });
  const result = hasLearned ? "learned" : stop.signal.aborted ? "slow" : "failed";
  return { firstLoss, loss, steps, imagesPerSecond, seconds: (performance.now() - start) / 1000, result };
}
