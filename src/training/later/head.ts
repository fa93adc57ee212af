/**
 * Trains a new last layer on what the layers before it make of the images, which is computed once and kept: seconds,
 * where an epoch of the whole network takes minutes.
 */
import { epochOrder } from "../../data/sampling.ts";
import type { Parameter } from "../../engine/parameter.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { Answers } from "../../inference/answers.ts";
import { softmax } from "../../inference/forward.ts";
import { means } from "../../inference/scores.ts";
import { AdamW } from "../../net/later/adamw.ts";
import { leaves, type Model, type PlacedLayer } from "../../net/model.ts";
import { weightsOfBatch } from "../../net/later/loss_weights.ts";
import { loss, passOf, type LossLabels } from "../../net/passes.ts";
import { findTap } from "../../net/tap.ts";
import type { Means } from "../../runs/records.ts";
import { collector, type PassOptions } from "./collect.ts";
import { ascending, FeatureSet, inBatches } from "./feature_set.ts";
import { forwardRows, logitsOf } from "./last_layers.ts";
import { fold, standardOf, type Standard } from "./standard.ts";

/**
 * AdamW's, for features of unit variance; the rate falls to 0 along half a cosine. With less decay, what a few photos
 * give is learnt by heart, and the weights become so large that the layers before them can hardly learn on.
 */
const RATE = 0.001;
const SETTINGS = { momentum: 0.9, decay: 5, biasRate: 1, biasDecay: false };
const BATCH = 256;
/** Features seen in all: few images are seen more often, but none more than `MOST_EPOCHS` times. */
const SEEN = 500_000;
const [LEAST_EPOCHS, MOST_EPOCHS] = [20, 200];
/** How many parts the training images are judged in, and features seen for each. */
const [FOLDS, FOLD_SEEN] = [5, 50_000];

/** The layers that may come after the features. */
const AFTER = ["dropout", "fc", "divide"];

/** Whether the last layer with weights is a fully connected one, after which nothing else is computed. */
export function hasHead(layers: readonly PlacedLayer[]): boolean {
  return layers.slice(findTap(layers).count).every(({ layer }) => AFTER.includes(layer.kind));
}

export interface HeadOptions extends PassOptions {
  /** How often images of each class are seen relative to others; equally often if absent. */
  readonly weights?: readonly number[];
  /** How much images of each class count in the loss; alike if absent. */
  readonly lossWeights?: readonly number[];
  /** The most time to spend on features, in milliseconds: fewer images or views are used then. */
  readonly withinMs: number;
  /** Called with the features once the layer has been trained: of training images, in random order, and of the others. */
  readonly trained?: (features: FeatureSet, valFeatures: FeatureSet) => Promise<void>;
}

export interface TrainedHead {
  readonly train: Means;
  /** The answers of the whole network for the validation images. */
  readonly answers: Answers;
  /**
   * The answers for the training images, without those that are the only one of their class: each by a last layer that
   * was trained on four fifths of them, without this one.
   */
  readonly unseen: Answers;
  /** Number of training images whose features were used, and of views of each. */
  readonly images: number;
  readonly views: number;
  readonly rate: number;
  /** Forward passes, without decoding what is cached. */
  readonly imagesPerSecond: number;
}

/**
 * Trains the last layer of `model`; the others stay as they are.
 * @param mean the mean image on the device
 * @returns undefined when it was stopped
 * @throws DataError when too many images can't be used
 */
export async function trainHead(model: Model, mean: Tensor, options: HeadOptions): Promise<TrainedHead | undefined> {
  const { train, val, folder, seed, withinMs, signal } = options;
  const { size, count } = findTap(model.layers);
  const began = performance.now();
  const spent = () => performance.now() - began;
  const all = ascending(val.dataset.length);
  // If there is no time for all of them, those that are used are a random part.
  const order = epochOrder(train.dataset, ascending(train.dataset.length), { seed, epoch: 0 });
  using valFeatures = new FeatureSet(size, all.length, folder);
  using features = new FeatureSet(size, 2 * order.length, folder);
  const collect = collector(model, mean, count, options);
  await collect(val, all, 0, valFeatures, () => false);
  await collect(train, order, 0, features, () => spent() > withinMs);
  const images = features.length;
  // Mirror images too, if there is time for them.
  const mirrored = images === order.length && 2 * spent() < withinMs;
  if (mirrored) await collect(train, order, 1, features, () => spent() > withinMs);
  if (signal?.aborted) return undefined;
  const imagesPerSecond = (1000 * (valFeatures.length + features.length)) / spent();
  const head = new Head(model, count, features);
  const unseen = await head.judge(images, options);
  const rows = ascending(features.length);
  if (!unseen || !(await head.fit(rows, { ...options, leastEpochs: LEAST_EPOCHS, seen: SEEN }))) return undefined;
  await options.trained?.(features, valFeatures);
  return {
    ...{ images, views: mirrored ? 2 : 1, rate: RATE, imagesPerSecond },
    // Each view is counted.
    train: means((await head.answers(features, rows)).scores(model.classes).total),
    answers: await head.answers(valFeatures, ascending(valFeatures.length)),
    unseen,
  };
}

interface FitOptions extends Pick<HeadOptions, "seed" | "signal" | "weights" | "lossWeights"> {
  readonly leastEpochs: number;
  /** Rows seen in all, but for the least and the most epochs. */
  readonly seen: number;
}

/** The layers after the features, of which the fully connected one learns. */
class Head {
  readonly #model: Model;
  readonly #first: number;
  readonly #features: FeatureSet;
  readonly #indices: readonly number[];
  readonly #standard: Standard;

  /** @param first the first of these layers */
  constructor(model: Model, first: number, features: FeatureSet) {
    this.#model = model;
    this.#first = first;
    this.#features = features;
    const names = leaves(model.layers.slice(first)).flatMap(({ parameters }) => parameters.map(({ name }) => name));
    this.#indices = names.map((name) => model.parameters.findIndex((parameter) => parameter.name === name));
    this.#standard = standardOf(features, names.length > 1);
  }

  get #parameters(): readonly Parameter[] {
    return this.#indices.map((i) => this.#model.parameters[i]!);
  }

  /**
   * Learns anew from standardised rows, and folds the standardisation into the weights.
   * @returns false when stopped
   */
  async fit(
    rows: Uint32Array,
    { seed, signal, weights, lossWeights, leastEpochs, seen }: FitOptions,
  ): Promise<boolean> {
    const [features, model, parameters, standard] = [this.#features, this.#model, this.#parameters, this.#standard];
    const { backend } = parameters[0]!;
    const batch = Math.min(BATCH, rows.length);
    const steps = Math.floor(rows.length / batch);
    const epochs = Math.min(MOST_EPOCHS, Math.max(leastEpochs, Math.ceil(seen / rows.length)));
    const specs = this.#indices.map((i) => model.specs[i]!);
    const optimizer = new AdamW({ network: model.network, specs, parameters }, SETTINGS);
    for (const { buffer, size } of parameters) backend.write(buffer, new Float32Array(size));
    const labelled = { classes: { length: model.classes }, label: (row: number) => features.labels[row]! };
    for (let epoch = 0; epoch < epochs && !signal?.aborted; epoch++) {
      const order = epochOrder(labelled, rows, { seed, epoch, ...(weights && { weights }) });
      for (let i = 0; i < steps; i++) {
        const [tape, step] = [new Tape(backend), epoch * steps + i];
        const chosen = order.subarray(i * batch, (i + 1) * batch);
        const lossOf = loss(tape, labelsOf(features, chosen, lossWeights));
        const from = { features, rows: chosen, standard };
        const logits = forwardRows(tape, model, this.#first, from, passOf({ seed, step }));
        tape.backward(lossOf(logits).loss);
        const rate = (RATE / 2) * (1 + Math.cos((Math.PI * step) / (epochs * steps)));
        optimizer.step(() => rate);
        tape.release();
      }
      // The device must not fall far behind.
      await parameters[0]!.read();
    }
    optimizer.free();
    await fold(parameters, standard);
    return !signal?.aborted;
  }

  /**
   * The answers for the first view of each image, each after learning without it (but for images that are the only one
   * of their class); undefined when stopped. Predictions out of sample show wrong labels (C. Northcutt, L. Jiang and
   * I. Chuang, Confident Learning, JAIR 70, 2021).
   * @param images how many of the features' rows are first views; the others are second views, in the same order
   */
  async judge(images: number, options: HeadOptions): Promise<Answers | undefined> {
    const features = this.#features;
    const rows = ascending(features.length);
    const members = Map.groupBy(rows.subarray(0, images), (row) => features.labels[row]!);
    const several = [...members.values()].flatMap((own) => (own.length > 1 ? own : []));
    const folds = new Map(several.map((row, k) => [features.images[row]!, k % FOLDS]));
    const answers = new Answers(this.#model.classes, several.length);
    for (let fold = 0; fold < FOLDS; fold++) {
      const others = rows.filter((row) => folds.get(features.images[row]!) !== fold);
      const own = Uint32Array.from(several.filter((row) => folds.get(features.images[row]!) === fold));
      if (own.length === 0) continue;
      if (!(await this.fit(others, { ...options, leastEpochs: 1, seen: FOLD_SEEN }))) return undefined;
      await this.answers(features, own, answers);
    }
    return answers;
  }

  /** Adds the answers for the images of rows of features. */
  async answers(
    features: FeatureSet,
    all: Uint32Array,
    answers = new Answers(this.#model.classes, all.length),
  ): Promise<Answers> {
    const { classes } = this.#model;
    const column = new Float64Array(classes);
    for (const rows of inBatches(all)) {
      const p = softmax(await logitsOf(this.#model, this.#first, { features, rows }), rows.length);
      for (const [n, row] of rows.entries()) {
        for (let k = 0; k < classes; k++) column[k] = p[k * rows.length + n]!;
        answers.add(features.images[row]!, features.labels[row]!, column);
      }
    }
    return answers;
  }
}

function labelsOf({ labels }: FeatureSet, rows: Uint32Array, weights: readonly number[] | undefined): LossLabels {
  const own = { labels: rows.map((row) => labels[row]!), valid: rows.length };
  return { ...own, ...weightsOfBatch(weights, own) };
}
