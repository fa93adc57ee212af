/** Loss and errors of a model on a number of images. */
import type { Means } from "../runs/records.ts";

/** Sums, not means, so that they can be added up and saved in a checkpoint. */
export interface Scores {
  images: number;
  /** Sum of the losses. */
  loss: number;
  /** Number of top-1 and top-5 errors. */
  wrong1: number;
  wrong5: number;
}

export const noScores = (): Scores => ({ images: 0, loss: 0, wrong1: 0, wrong5: 0 });

/** Adds the first `valid` images of a batch. @param ranks number of classes more probable than each image's own */
export function addScores(scores: Scores, losses: ArrayLike<number>, ranks: ArrayLike<number>, valid: number): void {
  for (let n = 0; n < valid; n++) {
    scores.images++;
    scores.loss += losses[n]!;
    if (ranks[n]! >= 1) scores.wrong1++;
    if (ranks[n]! >= 5) scores.wrong5++;
  }
}

export function means({ images, loss, wrong1, wrong5 }: Scores): Means {
  return { loss: loss / images, top1: wrong1 / images, top5: wrong5 / images };
}
