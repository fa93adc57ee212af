/** What a training says while it runs. The command line shows it to people or passes it on as JSON. */
import type { Remark } from "../data/remarks.ts";
import type { EpochRecord, Means, StartRecord } from "../runs/records.ts";

export type TrainEvent =
  /** What takes its time before the start. */
  | { readonly type: "note"; readonly line: string }
  /** What went wrong beside the training, which goes on. */
  | { readonly type: "warning"; readonly line: string }
  /** What of the data was left alone, or looks odd. */
  | ({ readonly type: "remark" } & Remark)
  | StartRecord
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

export type Report = (event: TrainEvent) => void;
