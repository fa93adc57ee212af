/** What a training is given once its data are open and its configuration is chosen, and what it results in. */
import type { Opened } from "../../data/open.ts";
import type { Work } from "../../net/fit.ts";
import type { Ranks } from "../../ranks/ranks.ts";
import type { EpochRecord, Means, Phases, StartRecord } from "../../runs/records.ts";
import { networkOf, type TrainConfig } from "../../runs/settings.ts";
import type { Report } from "../../training/events.ts";
import type { Watcher } from "../../training/session.ts";
import type { RunFolder } from "./run_folder.ts";

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

export interface TrainJob {
  readonly config: TrainConfig;
  /** Whether its batch, which nobody asked for, may be cut into parts for a device with little memory. */
  readonly mayCut: boolean;
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
export function batchOf({ batch }: Pick<TrainConfig, "batch">, { train }: Opened): number {
  return Math.min(batch, train.length);
}

/** What the device has to hold. */
export function workOf({ config, sets, ranks }: TrainJob): Work {
  return {
    network: networkOf(config),
    classes: sets.train.classes.length,
    kind: "training",
    optimizer: config.optimizer,
    average: config.average,
    accumulates: config.accumulate > 1,
    half: config.precision === "half",
    weighs: config.lossWeights !== null,
    frozen: config.freeze,
    // If the network is split, a rank may have all images.
    shares: config.split === null ? ranks.size : 1,
    validationImages: Math.ceil(sets.val.length / ranks.size),
  };
}
