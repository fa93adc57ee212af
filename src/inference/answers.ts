/** A model's predictions for every image of a set, and how good they are. */
import { nameWithin, type Dataset } from "../data/dataset.ts";
import { MAX_EXAMPLES, type Example } from "../runs/runs.ts";
import { mostProbable } from "./most_probable.ts";
import { addScores, noScores, type Scores } from "./scores.ts";

/** Number of most probable classes kept for each image. */
const KEPT = 5;

export interface Answer {
  /** Of the image, in its set. */
  readonly index: number;
  readonly label: number;
  /** How many classes were more probable than the right one. */
  readonly rank: number;
  readonly loss: number;
  /** The most probable classes in order; ties in the order of the classes. */
  readonly best: readonly { readonly label: number; readonly probability: number }[];
}

/** Stored as columns: a set may have a million images. */
export class Answers {
  /** Number of most probable classes in each answer. */
  readonly kept: number;
  readonly #indices: Uint32Array;
  readonly #labels: Uint32Array;
  readonly #ranks: Uint32Array;
  readonly #losses: Float64Array;
  readonly #best: Uint32Array;
  readonly #shares: Float64Array;
  #length = 0;

  /** @param capacity maximum number of images */
  constructor(classes: number, capacity: number) {
    this.kept = Math.min(KEPT, classes);
    this.#indices = new Uint32Array(capacity);
    this.#labels = new Uint32Array(capacity);
    this.#ranks = new Uint32Array(capacity);
    this.#losses = new Float64Array(capacity);
    this.#best = new Uint32Array(capacity * this.kept);
    this.#shares = new Float64Array(capacity * this.kept);
  }

  get length(): number {
    return this.#length;
  }

  /** @param p probability of each class */
  add(index: number, label: number, p: Float64Array): void {
    const at = this.#length++;
    this.#indices[at] = index;
    this.#labels[at] = label;
    this.#ranks[at] = rankOf(p, label);
    this.#losses[at] = -Math.log(Math.max(p[label]!, Number.MIN_VALUE));
    mostProbable(p, this.kept).forEach((best, k) => {
      this.#best[at * this.kept + k] = best;
      this.#shares[at * this.kept + k] = p[best]!;
    });
  }

  /** All answers as numbers, to send to another rank. */
  encode(): Float64Array {
    const rows = Array.from({ length: this.#length }, (_, i) => {
      const { index, label, rank, loss, best } = this.at(i);
      return [index, label, rank, loss, ...best.map((each) => each.label), ...best.map((each) => each.probability)];
    });
    return Float64Array.from(rows.flat());
  }

  /** Adds the answers that `encode` wrote. */
  append(rows: Float64Array): void {
    const width = 4 + 2 * this.kept;
    for (let from = 0; from < rows.length; from += width) {
      const at = this.#length++;
      const [index, label, rank, loss] = rows.subarray(from) as unknown as [number, number, number, number];
      this.#indices[at] = index;
      this.#labels[at] = label;
      this.#ranks[at] = rank;
      this.#losses[at] = loss;
      this.#best.set(rows.subarray(from + 4, from + 4 + this.kept), at * this.kept);
      this.#shares.set(rows.subarray(from + 4 + this.kept, from + width), at * this.kept);
    }
  }

  at(i: number): Answer {
    const best = Array.from({ length: this.kept }, (_, k) => ({
      label: this.#best[i * this.kept + k]!,
      probability: this.#shares[i * this.kept + k]!,
    }));
    const [index, label, rank] = [this.#indices[i]!, this.#labels[i]!, this.#ranks[i]!];
    return { index, label, rank, loss: this.#losses[i]!, best };
  }

  label(i: number): number {
    return this.#labels[i]!;
  }

  /** The most probable class of image i. */
  predicted(i: number): number {
    return this.#best[i * this.kept]!;
  }

  /** Positions of the wrong answers, the largest loss first. */
  worst(): Uint32Array {
    const all = Uint32Array.from({ length: this.#length }, (_, i) => i);
    const wrong = all.filter((i) => this.#ranks[i]! > 0);
    return wrong.sort((a, b) => this.#losses[b]! - this.#losses[a]! || a - b);
  }

  /** Over all images and for each class; `predicted` counts how often each class was predicted. */
  scores(classes: number): { total: Scores; byClass: Scores[]; predicted: Uint32Array } {
    const [total, byClass] = [noScores(), Array.from({ length: classes }, noScores)];
    const predicted = new Uint32Array(classes);
    for (let i = 0; i < this.#length; i++) {
      predicted[this.predicted(i)]!++;
      for (const scores of [total, byClass[this.#labels[i]!]!]) {
        addScores(scores, [this.#losses[i]!], [this.#ranks[i]!], 1);
      }
    }
    return { total, byClass, predicted };
  }
}

/** Number of classes more probable than the right one; ties are broken as in softmaxCrossEntropy. */
function rankOf(p: Float64Array, label: number): number {
  const right = p[label]!;
  let rank = 0;
  for (let k = 0; k < p.length; k++) if (p[k]! > right || (p[k] === right && k < label)) rank++;
  return rank;
}

/** 95% of a normal distribution lie within this many standard deviations. */
const Z95 = 1.959963984540054;

/**
 * The 95% confidence interval of an error rate of `wrong` out of `images`: Wilson's score interval (JASA 22, 1927),
 * which also holds for few images and for rates near 0.
 */
export function interval95(wrong: number, images: number): readonly [low: number, high: number] {
  const [share, z2] = [wrong / images, Z95 * Z95];
  const middle = share + z2 / (2 * images);
  const half = Z95 * Math.sqrt((share * (1 - share) + z2 / (4 * images)) / images);
  const scale = 1 + z2 / images;
  // Exact at the ends, whatever rounding does.
  return [wrong === 0 ? 0 : (middle - half) / scale, wrong === images ? 1 : (middle + half) / scale];
}

/** At least this share of the examples are right answers, if there are any. */
const RIGHT_SHARE = 1 / 3;

/** Answers to show: the most confident mistakes first, then right ones from all over the set. */
export function examplesOf(answers: Answers, dataset: Dataset): Example[] {
  const all = Array.from({ length: answers.length }, (_, i) => answers.at(i));
  const [right, wrong] = [all.filter(({ rank }) => rank === 0), all.filter(({ rank }) => rank > 0)];
  wrong.sort((a, b) => b.best[0]!.probability - a.best[0]!.probability || a.index - b.index);
  const count = Math.min(right.length, Math.max(MAX_EXAMPLES - wrong.length, RIGHT_SHARE * MAX_EXAMPLES));
  const spread = Array.from({ length: count }, (_, k) => right[Math.floor(((k + 0.5) * right.length) / count)]!);
  return [...wrong.slice(0, MAX_EXAMPLES - count), ...spread].map(({ index, label, best: [first] }) => ({
    image: nameWithin(dataset, index),
    ...{ label, predicted: first!.label, probability: first!.probability },
  }));
}

/** [true class, predicted class, number of images]; only pairs that occurred. */
export type ConfusionEntry = readonly [label: number, predicted: number, images: number];

/** The confusion matrix, as its non-zero entries. */
export function confusionOf(answers: Answers, classes: number): ConfusionEntry[] {
  const counts = new Map<number, number>();
  for (let i = 0; i < answers.length; i++) {
    const pair = answers.label(i) * classes + answers.predicted(i);
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([pair, images]) => [Math.floor(pair / classes), pair % classes, images]);
}
