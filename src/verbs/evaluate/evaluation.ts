/** What comes of an evaluation. */
import type { ViewCount } from "../../data/augmentation.ts";
import type { Remark } from "../../data/remarks.ts";
import type { ConfusionEntry } from "../../inference/answers.ts";
import type { Scores } from "../../inference/scores.ts";
import type { Submission } from "./submission.ts";

export interface ClassResult {
  readonly name: string;
  readonly scores: Scores;
  /** How many images were taken for this class. */
  readonly predicted: number;
}

export interface Evaluation {
  readonly network: string;
  readonly weights: string;
  /** Each of the models that were averaged; a single one otherwise. */
  readonly models: readonly { readonly network: string; readonly weights: string }[];
  readonly data: string;
  /** Where the run's images are no longer what they were: what has changed, for people. */
  readonly changes?: string;
  readonly views: ViewCount;
  readonly device: string;
  readonly total: Scores;
  /** Between which errors the true ones lie, with 95% confidence. */
  readonly interval1: readonly [low: number, high: number];
  readonly interval5: readonly [low: number, high: number];
  /** In the order of the models' outputs; some may have no images. */
  readonly classes: readonly ClassResult[];
  readonly confusion: readonly ConfusionEntry[];
  /** Files that could not be used. */
  readonly bad: readonly string[];
  /** What of the data was left alone, and what looks odd. */
  readonly remarks: readonly Remark[];
  /** The files that were written. */
  readonly files: readonly string[];
  readonly submission?: Submission;
  readonly imagesPerSecond: number;
}
