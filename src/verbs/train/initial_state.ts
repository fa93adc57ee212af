/** Where a training begins: initial or trained weights, the mean image, the axes of colours, and no step taken. */
import { measureStatistics } from "../../data/statistics.ts";
import type { Model } from "../../net/model.ts";
import type { Network } from "../../net/recipe.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import { unlessStopped } from "../../signals.ts";
import type { Report } from "../../training/events.ts";
import { freshState, type Records, type State } from "../../training/session.ts";
import { beginWith } from "./fine_tune.ts";

export interface InitialState {
  /** The mean image, record × record × 3. */
  readonly mean: Float32Array;
  readonly state: State;
  /** Whether the last layer has its initial weights, and the others trained ones. */
  readonly isNewLast: boolean;
}

/** Of trainings without colour noise, which don't need them. */
const NO_AXES: State["axes"] = {
  values: [0, 0, 0],
  vectors: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
};

interface Beginning {
  readonly config: TrainConfig;
  readonly train: Records;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives the model its first weights, and measures the images.
 * @returns undefined when it was stopped
 * @throws CheckpointError, UsageError for weights to start from that can't be used; DataError
 */
export async function initialState(
  model: Model,
  { config, train, report, signal }: Beginning,
): Promise<InitialState | undefined> {
  model.initialise(config.seed);
  const measure = () => measured(model, config.seed, train, report, signal);
  if (config.from === null) return measure();
  // Trained weights need the mean image that they were trained with.
  const { mean, isNewLast } = beginWith(config.from, model, train.dataset);
  if (config.augmentation.colour === 0) return { mean, isNewLast, state: freshState(NO_AXES) };
  const own = await measure();
  return own && { ...own, mean, isNewLast };
}

async function measured(
  { network: { record: recordSize, resize } }: Model,
  seed: number,
  { dataset, cache }: Records,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<InitialState | undefined> {
  const onProgress = (done: number, total: number) => {
    signal?.throwIfAborted();
    report({ type: "measure", done, total });
  };
  const known = dataset.statistics;
  if (known?.mean.length === recordSize * recordSize * 3) {
    return { mean: known.mean, state: freshState(known.axes), isNewLast: false };
  }
  const found = await unlessStopped(
    signal,
    measureStatistics(dataset, { recordSize, resize, seed, cache, onProgress }),
  );
  if (!found) return undefined;
  for (const [i, reason] of cache.bad) report({ type: "bad", name: dataset.nameOf(i), reason });
  return { mean: found.mean, state: freshState(found.axes), isNewLast: false };
}

/**
 * Shares rank 0's initial state with every rank.
 * @param make called on rank 0 alone
 */
export async function shareState(
  ranks: Ranks,
  { record }: Network,
  make: () => Promise<InitialState | undefined>,
): Promise<InitialState | undefined> {
  if (ranks.size === 1) return make();
  const made = ranks.rank === 0 ? await make() : undefined;
  const shared = await ranks.share(() => (made ? { state: made.state, isNewLast: made.isNewLast } : null));
  if (!shared) return undefined;
  const mean = made?.mean ?? new Float32Array(record * record * 3);
  await ranks.broadcast([mean]);
  return { ...shared, mean };
}
