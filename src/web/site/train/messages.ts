/** What the training page and its worker say to each other. */
import type { DeviceChoice } from "../worker_port.ts";
import type { TrainingEvent } from "./training.ts";

export type ToWorker =
  /** `train` and `val` are for trials with less than the whole set. */
  | {
      readonly type: "begin";
      readonly seed: number;
      readonly device: DeviceChoice;
      readonly train?: number;
      readonly val?: number;
      readonly epochs?: number;
    }
  | { readonly type: "pause" | "resume" };

export type FromWorker =
  | TrainingEvent
  | { readonly type: "device"; readonly kind: string; readonly description: string }
  | { readonly type: "end" }
  | { readonly type: "failed"; readonly words: string; readonly isLost: boolean };
