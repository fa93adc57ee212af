/** The result of an evaluation. */
import type { ViewCount } from "../../data/augmentation.ts";
import type { Remark } from "../../data/remarks.ts";
import type { ConfusionEntry } from "../../inference/answers.ts";
import type { Scores } from "../../inference/scores.ts";
import type { Submission } from "./submission.ts";

export interface ClassResult {
  readonly name: string;
  readonly scores: Scores;
  /** Number of images predicted to be of this class. */
  readonly predicted: number;
}

export interface Evaluation {
  readonly network: string;
  readonly weights: string;
  /** The models that were averaged, or the only one. */
  readonly models: readonly { readonly network: string; readonly weights: string }[];
  readonly data: string;
  /** If images of the run have changed: what has changed, for people. */
  readonly changes?: string;
  readonly views: ViewCount;
  readonly device: string;
  readonly total: Scores;
  /** 95% confidence intervals of the top-1 and top-5 error. */
  readonly interval1: readonly [low: number, high: number];
  readonly interval5: readonly [low: number, high: number];
  /** In the order of the models' outputs; some may have no images. */
  readonly classes: readonly ClassResult[];
  readonly confusion: readonly ConfusionEntry[];
  /** "file: reason" for each image that can't be used. */
  readonly bad: readonly string[];
  /** What was ignored in the data, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** The files written. */
  readonly files: readonly string[];
  readonly submission?: Submission;
  readonly imagesPerSecond: number;
}
