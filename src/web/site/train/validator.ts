/** Validation in a page. */
import { centreView } from "../../../data/augmentation.ts";
import { probabilities } from "../../../inference/forward.ts";
import { addScores, noScores, type Scores } from "../../../inference/scores.ts";
import type { Model } from "../../../net/model.ts";
import { Batches, type Records } from "./records.ts";

/** How many validation images are shown. */
export const SHOWN = 20;

/** Scores a model on the first validation images. */
export class Validator {
  readonly #batches: Batches;
  readonly #order: Uint32Array;

  constructor({ dataset, side, pixels }: Records, batch: number) {
    this.#batches = new Batches({ dataset, side, pixels }, batch);
    this.#order = Uint32Array.from({ length: dataset.length }, (_, i) => i);
  }

  /** @returns the scores of `images` of them, and the answers to those that are shown */
  async look(
    model: Model,
    mean: Parameters<typeof probabilities>[1],
    images: number,
  ): Promise<{ readonly scores: Scores; readonly answers: readonly Float32Array[] }> {
    const { record, crop } = model.network;
    const [scores, answers] = [noScores(), [] as Float32Array[]];
    const order = this.#order.subarray(0, images);
    const batch = this.#batches.labels.length;
    const views = [centreView(batch, record, crop)];
    for (let first = 0; first < images; first += batch) {
      const valid = this.#batches.take(order, first);
      const p = await probabilities(model, mean, this.#batches.pixels, views);
      for (let n = 0; n < valid; n++) {
        const own = Float32Array.from({ length: model.classes }, (_, k) => p[k * batch + n]!);
        const right = own[this.#batches.labels[n]!]!;
        // Float32 has no exp(−1000), and a loss of infinity would hide all others.
        const loss = -Math.log(Math.max(p[this.#batches.labels[n]! * batch + n]!, Number.MIN_VALUE));
        addScores(scores, [loss], [own.filter((each) => each > right).length], 1);
        if (answers.length < SHOWN) answers.push(own);
      }
    }
    return { scores, answers };
  }
}
