/** The events of a training. The command line shows them to people or passes them on as JSON. */
import type { Remark } from "../data/remarks.ts";
import type { EpochRecord, Means, Phases, StartRecord } from "../runs/records.ts";
import type { Calibration } from "../weights/calibration.ts";

export type TrainEvent =
  /** What is being done before training starts. */
  | { readonly type: "note"; readonly line: string }
  /** Something went wrong or looks odd, but training goes on. */
  | { readonly type: "warning"; readonly line: string }
  /** Some of the data was ignored, or looks odd. */
  | ({ readonly type: "remark" } & Remark)
  /** In cross-validation: the training of another part begins. */
  | { readonly type: "fold"; readonly fold: number; readonly folds: number }
  | StartRecord
  | { readonly type: "measure" | "validate" | "features" | "compare"; readonly done: number; readonly total: number }
  /** A new last layer has been trained on so many of the training images, in so many views; epoch 0 follows. */
  | { readonly type: "head"; readonly images: number; readonly of: number; readonly views: number }
  /** The best weights have been calibrated, after the last epoch. */
  | ({ readonly type: "calibrated" } & Calibration)
  /** With `minutes`: how many epochs will be trained, and for how long. */
  | { readonly type: "plan"; readonly epochs: number; readonly seconds: number }
  | {
      readonly type: "step";
      readonly epoch: number;
      readonly epochs: number;
      readonly batch: number;
      readonly batches: number;
      /** Over the current epoch so far. */
      readonly loss: number;
      readonly top1: number;
      readonly imagesPerSecond: number;
      /** Until the end of the last epoch, without validation. */
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
      /** The lowest validation error so far: that of the weights that were kept as the best. */
      readonly bestError?: number;
      /** Of how many images that is. */
      readonly validated?: number;
      readonly phases?: Phases;
    };

export type Report = (event: TrainEvent) => void;
