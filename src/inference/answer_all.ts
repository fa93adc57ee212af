/** Models asked about every image of a set, by one process or by several. */
import type { Dataset } from "../data/dataset.ts";
import { shareOf } from "../data/share.ts";
import { DataError } from "../errors.ts";
import type { Ranks } from "../ranks/ranks.ts";
import { unlessStopped } from "../signals.ts";
import { plural } from "../words.ts";
import { Answers } from "./answers.ts";
import { classify, type ClassifyOptions } from "./classify.ts";
import type { Member } from "./loaded_model.ts";

export interface Pass extends ClassifyOptions {
  /** The model's number of each class of the set, where those differ. */
  readonly classOf?: Uint32Array;
  readonly progress?: (done: number, total: number) => void;
}

/** Asks models about every image of a set, in order. @throws DataError when none, or too few, can be used */
export async function answerAll(
  members: readonly Member[],
  dataset: Dataset,
  { classOf, progress = () => {}, ...options }: Pass,
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

/**
 * Asks about every image of a set, each rank about its share of them.
 * @returns what all found, on every rank, and what this one can't use; undefined when one was stopped
 */
export async function answerTogether(
  ranks: Ranks,
  members: readonly Member[],
  dataset: Dataset,
  pass: Pass,
): Promise<Awaited<ReturnType<typeof answerAll>> | undefined> {
  const { classes } = members[0]!.model;
  const { first, count } = shareOf(dataset.length, ranks.rank, ranks.size);
  const samples = Uint32Array.from({ length: count }, (_, i) => first + i);
  const own =
    count === 0
      ? { answers: new Answers(classes, 0), bad: [] }
      : await unlessStopped(
          pass.signal,
          answerAll(members, dataset, { ...pass, batch: Math.min(pass.batch, count), samples }),
        );
  if (ranks.size === 1) return own;
  const answers = new Answers(classes, dataset.length);
  if (!(await gatherAnswers(ranks, own?.answers, answers))) return undefined;
  return { answers, bad: own!.bad };
}

/**
 * Puts the ranks' answers into one, in the order of ranks.
 * @param own those of this rank; undefined when it was stopped
 * @param all is filled, on every rank
 * @returns whether no rank was stopped
 */
export async function gatherAnswers(ranks: Ranks, own: Answers | undefined, all: Answers): Promise<boolean> {
  // A row has several numbers, so that a single one is none.
  const rows = own?.encode() ?? Float64Array.of(NaN);
  const parts = await ranks.gather(new Uint8Array(rows.buffer));
  const numbers = parts.map((part) => new Float64Array(part.slice().buffer));
  if (numbers.some(({ length }) => length === 1)) return false;
  for (const part of numbers) all.append(part);
  return true;
}
