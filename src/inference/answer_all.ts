/** Predictions of models for a whole set. */
import type { Dataset } from "../data/dataset.ts";
import { DataError } from "../errors.ts";
import { plural } from "../words.ts";
import { Answers } from "./answers.ts";
import { classify, type ClassifyOptions } from "./classify.ts";
import type { Member } from "./member.ts";

export interface AnswerOptions extends ClassifyOptions {
  /** The model's index of each class of the set, if they differ. */
  readonly classOf?: Uint32Array;
  readonly progress?: (done: number, total: number) => void;
}

/** Classifies every image of a set, in order. @throws DataError when none, or too few, can be used */
export async function answerAll(
  members: readonly Member[],
  dataset: Dataset,
  { classOf, progress = () => {}, ...options }: AnswerOptions,
): Promise<{ readonly answers: Answers; readonly bad: readonly string[] }> {
  const { classes } = members[0]!.model;
  const total = options.samples?.length ?? dataset.length;
  const answers = new Answers(classes, total);
  const column = new Float64Array(classes);
  const bad = await classify(members, dataset, options, ({ labels, indices, valid, images, p }) => {
    for (let n = 0; n < valid; n++) {
      for (let k = 0; k < classes; k++) column[k] = p[k * images + n]!;
      const label = labels[n]!;
      answers.add(indices[n]!, classOf ? classOf[label]! : label, column);
    }
    progress(answers.length, total);
  });
  if (answers.length === 0) {
    throw new DataError(`${dataset.name}: none of its ${plural(dataset.length, "image")} can be used, first ${bad[0]}`);
  }
  return { answers, bad };
}
