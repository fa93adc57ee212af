/**
 * Calibrates trained weights by what they make of the training and validation images: the temperature of their answers,
 * and how far the features of validation images are from those of training images.
 */
import { epochOrder } from "../../data/sampling.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { binsOf, calibrationError, fitTemperature } from "../../inference/calibration.ts";
import { rowsOf } from "../../inference/forward.ts";
import { featuresOf, Known, PrototypeMaker } from "../../inference/known.ts";
import type { Model } from "../../net/model.ts";
import { findTap } from "../../net/tap.ts";
import type { Calibrated } from "../../weights/checkpoint.ts";
import { collector, type PassOptions } from "./collect.ts";
import { ascending, FeatureSet, inBatches } from "./feature_set.ts";
import { logitsOf } from "./last_layers.ts";

/** With fewer validation images, the numbers would say more about these than about the network. */
const LEAST_VALIDATED = 50;
/** More images make hardly any difference. */
const MOST_VALIDATED = 5000;
const MOST_TRAINED = 10_000;
/** Numbers of features in a set, in memory or on the disk; but at least 1,000 images. */
const MOST_NUMBERS = 2 ** 28;
/** The share of validation images that are further away than the limit. */
const FAR = 0.05;

type Sets = Pick<PassOptions, "train" | "val">;

/** How many images `calibrate` passes through the network. */
export function calibrationImages({ train, val }: Sets): number {
  if (val.dataset.length < LEAST_VALIDATED) return 0;
  return Math.min(val.dataset.length, MOST_VALIDATED) + Math.min(train.dataset.length, MOST_TRAINED);
}

/**
 * Passes images through the network, at most 15,000 of them.
 * @param mean the mean image on the device
 * @returns undefined if there are fewer than 50 validation images, or when it was stopped
 * @throws DataError when too many images can't be used
 */
export async function calibrate(model: Model, mean: Tensor, options: PassOptions): Promise<Calibrated | undefined> {
  const { train, val, folder, seed, signal } = options;
  if (calibrationImages(options) === 0) return undefined;
  const { count, size } = findTap(model.layers);
  const room = Math.max(1000, Math.floor(MOST_NUMBERS / size));
  const order = epochOrder(train.dataset, ascending(train.dataset.length), { seed, epoch: 0 });
  const some = order.subarray(0, Math.min(MOST_TRAINED, room));
  const validated = spread(val.dataset.length, Math.min(MOST_VALIDATED, room));
  using features = new FeatureSet(size, some.length, folder);
  using valFeatures = new FeatureSet(size, validated.length, folder);
  const collect = collector(model, mean, count, options);
  await collect(train, some, 0, features, () => false);
  await collect(val, validated, 0, valFeatures, () => false);
  return signal?.aborted ? undefined : calibrationOf(model, features, valFeatures);
}

/** @param features of training images in random order @returns undefined if there are fewer than 50 validation images */
export async function calibrationOf(
  model: Model,
  features: FeatureSet,
  valFeatures: FeatureSet,
): Promise<Calibrated | undefined> {
  const { classes, layers } = model;
  const { count, maps } = featuresOf(layers);
  const images = Math.min(valFeatures.length, MOST_VALIDATED);
  if (images < LEAST_VALIDATED) return undefined;
  const maker = new PrototypeMaker(classes, maps);
  const row = new Float32Array(features.size);
  for (let n = 0; n < features.length; n++) {
    features.read(Uint32Array.of(n), row);
    maker.add(row, features.labels[n]!);
  }
  const prototypes = maker.prototypes();
  const known = new Known(prototypes);
  const validated = spread(valFeatures.length, images);
  const logits = new Float32Array(images * classes);
  const distances: number[] = [];
  for (const batch of inBatches(ascending(images))) {
    const rows = batch.map((n) => validated[n]!);
    const columns = await logitsOf(model, count, { features: valFeatures, rows });
    logits.set(rowsOf(columns, rows.length), batch[0]! * classes);
    for (const n of rows) {
      valFeatures.read(Uint32Array.of(n), row);
      distances.push(known.distance(row));
    }
  }
  const answers = { logits, labels: validated.map((n) => valFeatures.labels[n]!) };
  const temperature = fitTemperature(answers);
  const bins = { before: binsOf(answers, 1), after: binsOf(answers, temperature) };
  const [before, after] = [calibrationError(bins.before), calibrationError(bins.after)];
  const limit = distances.toSorted((a, b) => b - a)[Math.floor(FAR * images)]!;
  return { calibration: { temperature, images, before, after, limit, bins }, prototypes };
}

/** `count` of the numbers below `all`, evenly spaced; all of them if there are no more. */
function spread(all: number, count: number): Uint32Array {
  const length = Math.min(all, count);
  return Uint32Array.from({ length }, (_, i) => Math.floor((i * all) / length));
}
