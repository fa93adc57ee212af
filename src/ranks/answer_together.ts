/** Evaluating models on every image of a set, shared out among ranks. */
import type { Dataset } from "../data/dataset.ts";
import { shareOf } from "../data/share.ts";
import { answerAll, type AnswerOptions } from "../inference/answer_all.ts";
import { Answers } from "../inference/answers.ts";
import type { Member } from "../inference/member.ts";
import { unlessStopped } from "../signals.ts";
import type { Ranks } from "./ranks.ts";

/**
 * Each rank evaluates its share of a set.
 * @returns the answers of all ranks, on every rank, and the images that this rank couldn't use; undefined when a rank
 * was stopped
 */
export async function answerTogether(
  ranks: Ranks,
  members: readonly Member[],
  dataset: Dataset,
  options: AnswerOptions,
): Promise<Awaited<ReturnType<typeof answerAll>> | undefined> {
  const { classes } = members[0]!.model;
  const { first, count } = shareOf(dataset.length, ranks.rank, ranks.size);
  const samples = Uint32Array.from({ length: count }, (_, i) => first + i);
  const own =
    count === 0
      ? { answers: new Answers(classes, 0), bad: [] }
      : await unlessStopped(
          options.signal,
          answerAll(members, dataset, { ...options, batch: Math.min(options.batch, count), samples }),
        );
  if (ranks.size === 1) return own;
  const answers = new Answers(classes, dataset.length);
  if (!(await gatherAnswers(ranks, own?.answers, answers))) return undefined;
  return { answers, bad: own!.bad };
}

/**
 * Collects the answers of all ranks, in the order of ranks.
 * @param own this rank's answers; undefined when it was stopped
 * @param all receives them, on every rank
 * @returns false when a rank was stopped
 */
export async function gatherAnswers(ranks: Ranks, own: Answers | undefined, all: Answers): Promise<boolean> {
  // A row has several numbers, so a single one can stand for "stopped".
  const rows = own?.encode() ?? Float64Array.of(NaN);
  const parts = await ranks.gather(new Uint8Array(rows.buffer));
  const numbers = parts.map((part) => new Float64Array(part.slice().buffer));
  if (numbers.some(({ length }) => length === 1)) return false;
  for (const part of numbers) all.append(part);
  return true;
}
