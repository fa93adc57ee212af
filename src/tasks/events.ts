/** What a training says while it runs. The command line shows it to people or passes it on as JSON. */
import type { Remark } from "../data/remarks.ts";
import type { Means } from "./scores.ts";

export type TrainEvent =
  /** What takes its time before the start. */
  | { readonly type: "note"; readonly line: string }
  /** What went wrong beside the training, which goes on. */
  | { readonly type: "warning"; readonly line: string }
  /** What of the data was left alone, or looks odd. */
  | ({ readonly type: "remark" } & Remark)
  | {
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
  | { readonly type: "measure" | "validate"; readonly done: number; readonly total: number }
  | {
      readonly type: "step";
      readonly epoch: number;
      readonly epochs: number;
      readonly batch: number;
      readonly batches: number;
      /** Over the epoch so far. */
      readonly loss: number;
      readonly top1: number;
      readonly imagesPerSecond: number;
      /** Until the last epoch is done, validation aside. */
      readonly secondsLeft: number;
    }
  | ({ readonly type: "epoch"; readonly isBest: boolean } & EpochRecord)
  | { readonly type: "bad"; readonly name: string; readonly reason: string }
  | { readonly type: "saved"; readonly path: string }
  | {
      readonly type: "end";
      readonly interrupted: boolean;
      readonly run: string;
      readonly samples?: string;
      readonly val?: Means;
    };

export type StartEvent = Extract<TrainEvent, { type: "start" }>;

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

export type Report = (event: TrainEvent) => void;
