/** What a run writes down of its training: how it began, and every epoch. */

/** What start.json holds. */
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
  readonly epochs: number;
  /** The learning rate it begins with. */
  readonly rate: number;
  /** Where a resumed training goes on, counted from 0. */
  readonly from?: { readonly epoch: number; readonly batch: number };
}

/** Averages: mean loss, and errors as fractions. */
export interface Means {
  readonly loss: number;
  readonly top1: number;
  readonly top5: number;
}

/** A line of log.jsonl. Epochs and steps are counted from 1; errors are fractions. */
export interface EpochRecord {
  readonly epoch: number;
  readonly step: number;
  readonly train: Means;
  readonly val: Means;
  readonly rate: number;
  readonly imagesPerSecond: number;
  /** The share of the training's time that it waited for data. */
  readonly dataWait: number;
  readonly seconds: number;
  /** Bytes that each of several ranks sent to others in a step, as src/ranks/ranks.ts counts them. */
  readonly sentBytes?: number;
}
