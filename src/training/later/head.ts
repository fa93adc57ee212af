/**
 * Trains a new last layer on what the layers before it make of the images, which is computed once and kept: seconds,
 * where an epoch of the whole network takes minutes.
 */
import { testViews } from "../../data/augmentation.ts";
import { createLoader } from "../../data/loader.ts";
import { epochOrder } from "../../data/sampling.ts";
import { DataError } from "../../errors.ts";
import type { Parameter } from "../../engine/parameter.ts";
import { softmaxCrossEntropy } from "../../engine/ops/softmax_cross_entropy.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { Answers } from "../../inference/answers.ts";
import { activations, softmax } from "../../inference/forward.ts";
import { means } from "../../inference/scores.ts";
import { AdamW } from "../../net/later/adamw.ts";
import { leaves, type Model, type PlacedLayer } from "../../net/model.ts";
import { passOf } from "../../net/passes.ts";
import { findTap } from "../../net/tap.ts";
import type { Means } from "../../runs/records.ts";
import { plural } from "../../words.ts";
import type { Records, Session } from "../session.ts";
import { ascending, FeatureSet, inBatches } from "./feature_set.ts";

/**
 * AdamW's, for features of unit variance; the rate falls to 0 along half a cosine. With less decay, what a few photos
 * give is learnt by heart, and the weights become so large that the layers before them can hardly learn on.
 */
const RATE = 0.001;
const SETTINGS = { momentum: 0.9, decay: 5, biasRate: 1, biasDecay: false };
const BATCH = 256;
/** Images of a pass through the other layers. */
const FORWARD_BATCH = 32;
/** Features seen in all: few images are seen more often, but none more than `MOST_EPOCHS` times. */
const SEEN = 500_000;
const [LEAST_EPOCHS, MOST_EPOCHS] = [20, 200];
/** How many parts the training images are judged in, and features seen for each. */
const [FOLDS, FOLD_SEEN] = [5, 50_000];
/** A feature that hardly varies is not blown up to unit variance. */
const LEAST_DEVIATION = 0.05;

/** The layers that may come after the features. */
const AFTER = ["dropout", "fc", "divide"];

/** Whether the last layer with weights is a fully connected one, after which nothing else is computed. */
export function hasHead(layers: readonly PlacedLayer[]): boolean {
  return layers.slice(findTap(layers).count).every(({ layer }) => AFTER.includes(layer.kind));
}

export interface HeadOptions {
  readonly train: Records;
  readonly val: Records;
  readonly seed: number;
  /** How often images of each class are seen relative to others; equally often if absent. */
  readonly weights?: readonly number[];
  /** The run's folder, for what doesn't fit in memory. */
  readonly folder: string;
  /** The most time to spend on features, in milliseconds: fewer images or views are used then. */
  readonly withinMs: number;
  readonly signal?: AbortSignal;
  readonly progress: (done: number, total: number) => void;
  readonly onBad: (name: string, reason: string) => void;
  /** Called with the features once the layer has been trained: of training images, in random order, and of the others. */
  readonly trained?: (features: FeatureSet, valFeatures: FeatureSet) => Promise<void>;
}

/** What passes over a session's images need to know of it. */
export function passesOf({ train, val, config, run, report, signal }: Session): Omit<HeadOptions, "withinMs"> {
  return {
    ...{ train, val, seed: config.seed, folder: run.path },
    ...(signal && { signal }),
    progress: (done, total) => report({ type: "features", done, total }),
    onBad: (name, reason) => report({ type: "bad", name, reason }),
  };
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

/** A function that adds a view of each image to a set, until all are there or `isOver`. */
export function collector(
  model: Model,
  mean: Tensor,
  count: number,
  { signal, progress, onBad }: Pick<HeadOptions, "signal" | "progress" | "onBad">,
) {
  const { record, resize, crop } = model.network;
  return async (
    { dataset, cache }: Records,
    samples: Uint32Array,
    view: number,
    to: FeatureSet,
    isOver: () => boolean,
  ): Promise<void> => {
    const batch = Math.min(FORWARD_BATCH, samples.length);
    const views = testViews(2, batch, record, crop)[view]!;
    const loader = createLoader(dataset, {
      ...{ batch, recordSize: record, resize, samples, cache, onBad },
    });
    for await (const { pixels, indices, labels, valid } of loader) {
      if (signal?.aborted) return;
      const rows = await activations(model, mean, { pixels, views }, count);
      to.add(rows.subarray(0, valid * to.size), indices.subarray(0, valid), labels.subarray(0, valid));
      progress(to.length, samples.length * (view + 1));
      if (isOver()) return;
    }
    if (to.length > 0) return;
    throw new DataError(
      `${dataset.name}: none of its ${plural(samples.length, "image")} can be used, first ${loader.bad[0]}`,
    );
  };
}

interface FitOptions extends Pick<HeadOptions, "seed" | "signal" | "weights"> {
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
  async fit(rows: Uint32Array, { seed, signal, weights, leastEpochs, seen }: FitOptions): Promise<boolean> {
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
        const logits = model.forward(
          input(tape, features, chosen, [features.size], standard),
          passOf({ seed, step }),
          undefined,
          this.#first,
        );
        tape.backward(softmaxCrossEntropy(logits, labels(tape, features, chosen)).loss);
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
      const tape = new Tape(this.#parameters[0]!.backend, { record: false });
      const logits = this.#model.forward(input(tape, features, rows), undefined, undefined, this.#first);
      const p = softmax((await logits.read()) as Float32Array, rows.length);
      tape.release();
      for (const [n, row] of rows.entries()) {
        for (let k = 0; k < classes; k++) column[k] = p[k * rows.length + n]!;
        answers.add(features.images[row]!, features.labels[row]!, column);
      }
    }
    return answers;
  }
}

/** What features are standardised by: (x − mean) / deviation. */
interface Standard {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** @param shifts whether the mean is subtracted */
function standardOf(features: FeatureSet, shifts: boolean): Standard {
  const { size, length } = features;
  const [sums, squares, row] = [new Float64Array(size), new Float64Array(size), new Float32Array(size)];
  for (let n = 0; n < length; n++) {
    features.read(Uint32Array.of(n), row);
    for (let i = 0; i < size; i++) {
      sums[i]! += row[i]!;
      squares[i]! += row[i]! ** 2;
    }
  }
  const mean = sums.map((sum) => sum / length);
  const variance = squares.map((square, i) => Math.max(0, square / length - mean[i]! ** 2));
  const typical = Math.sqrt(variance.reduce((sum, each) => sum + each, 0) / size) || 1;
  return {
    mean: shifts ? mean : mean.fill(0),
    deviation: variance.map((each) => Math.max(Math.sqrt(each), LEAST_DEVIATION * typical)),
  };
}

/** Makes weights for standardised features those for features as they are. */
async function fold([weight, bias]: readonly Parameter[], { mean, deviation }: Standard): Promise<void> {
  const { backend } = weight!;
  const [w, b] = [(await weight!.read()) as Float32Array, (await bias?.read()) as Float32Array | undefined];
  const size = mean.length;
  for (let at = 0; at < w.length; at++) {
    const i = at % size;
    w[at]! /= deviation[i]!;
    if (b) b[Math.floor(at / size)]! -= w[at]! * mean[i]!;
  }
  backend.write(weight!.buffer, w);
  if (b) backend.write(bias!.buffer, b);
}

/** Rows as a layer's input: its shape × N. */
export function input(
  tape: Tape,
  from: FeatureSet,
  rows: Uint32Array,
  shape: readonly number[] = [from.size],
  standard?: Standard,
): Tensor {
  const { size } = from;
  const values = new Float32Array(rows.length * size);
  from.read(rows, values);
  const columns = new Float32Array(values.length);
  for (let i = 0; i < size; i++) {
    const [mean, deviation] = standard ? [standard.mean[i]!, standard.deviation[i]!] : [0, 1];
    for (let n = 0; n < rows.length; n++) columns[i * rows.length + n] = (values[n * size + i]! - mean) / deviation;
  }
  return tape.input([...shape, rows.length], columns);
}

function labels(tape: Tape, from: FeatureSet, rows: Uint32Array): Tensor<"u32"> {
  return tape.input(
    [rows.length],
    rows.map((row) => from.labels[row]!),
  );
}
