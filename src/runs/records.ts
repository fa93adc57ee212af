/** What a run records about its training: its start, and every epoch. */

/** The contents of start.json. */
export interface StartRecord {
  readonly type: "start";
  readonly run: string;
  readonly network: string;
  readonly parameters: number;
  readonly device: string;
  readonly data: string;
  readonly train: number;
  readonly val: number;
  readonly classes: number;
  readonly batch: number;
  /** Batches of a step, if several. */
  readonly accumulate?: number;
  readonly epochs: number;
  /** Whether the validation images were held out of the data, which have none of their own. */
  readonly isHeldOut?: boolean;
  /** Images of an epoch, if not all of `train`. */
  readonly epochImages?: number;
  /** Instead of `epochs`, which is still to be chosen. */
  readonly minutes?: number;
  /** The options that the run was begun with, if a command can say them. */
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  /** The initial learning rate. */
  readonly rate: number;
  /** Where a resumed training continues, counted from 0. */
  readonly from?: { readonly epoch: number; readonly batch: number };
}

/** Mean loss, and top-1 and top-5 errors as fractions. */
export interface Means {
  readonly loss: number;
  readonly top1: number;
  readonly top5: number;
}

/** The validation errors of a training that begins with a new last layer. */
export interface Phases {
  /** With that layer alone. */
  readonly lastLayer: number;
  /** In the best epoch of the whole network, if there was one. */
  readonly whole?: number;
}

/**
 * A line of log.jsonl. Epochs and steps are counted from 1; errors are fractions. Epoch 0 is what a new last layer made
 * of trained weights before the first step.
 */
export interface EpochRecord {
  readonly epoch: number;
  readonly step: number;
  readonly train: Means;
  readonly val: Means;
  readonly rate: number;
  readonly imagesPerSecond: number;
  /** The share of training time spent waiting for data. */
  readonly dataWait: number;
  readonly seconds: number;
  /** With several ranks: bytes that each sent to others per step, as src/ranks/ranks.ts counts them. */
  readonly sentBytes?: number;
}
