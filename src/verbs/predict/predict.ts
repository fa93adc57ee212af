/** What a model says of images: the most probable classes of each. */
import { resolve } from "node:path";
import { testViews } from "../../data/augmentation.ts";
import type { Remark } from "../../data/remarks.ts";
import { DEVICE_OPTIONS, openDeviceOf, type DeviceOptions } from "../../devices/open.ts";
import { UsageError } from "../../errors.ts";
import { mostProbable } from "../../inference/answers.ts";
import { probabilities } from "../../inference/forward.ts";
import { openTrained } from "../../inference/loaded_model.ts";
import { replaceFile } from "../../io/files.ts";
import { checkOptions, type OptionKinds } from "../../options.ts";
import { drawAnswers, type AnsweredImage } from "../../pictures/answers.ts";
import { renderPng } from "../../pictures/svg.ts";
import { checkViews } from "../../runs/config.ts";
import { nameOf } from "../../runs/weights.ts";
import { classOfFolder, decodeImages, findImages, thumbnailOfNamed, type NamedImage } from "../shared/images.ts";

export interface PredictOptions extends DeviceOptions {
  /** Image files, folders of them, or "-" for an image on standard input. */
  readonly images: readonly string[];
  /** A run or a checkpoint file; the newest run if not given. */
  readonly model?: string;
  /** 1: the centre; 2: the centre and its mirror image; 10: corners and centre, and their mirror images. */
  readonly views?: number;
  /** How many classes to name. */
  readonly top?: number;
  /** The PNG file that shows the images with their classes; none is drawn if not given. */
  readonly out?: string;
}

const OPTIONS: OptionKinds<PredictOptions> = {
  ...DEVICE_OPTIONS,
  ...{ images: "string[]", model: "string?", views: "number?", top: "number?", out: "string?" },
};

export type Prediction =
  | { readonly image: string; readonly classes: readonly { readonly name: string; readonly probability: number }[] }
  | { readonly image: string; readonly error: string };

export interface Predictions {
  readonly network: string;
  readonly weights: string;
  /** What it knows, where the network came with the program because no other was named or trained. */
  readonly boxed?: readonly string[];
  readonly device: string;
  /** What was left alone in the folders that were named. */
  readonly remarks: readonly Remark[];
  /** The picture's absolute path, and how many images are on it, where one was asked for. */
  readonly picture?: { readonly file: string; readonly images: number };
}

/** More make a picture so large that viewers refuse it. */
const MAX_DRAWN = 64;

/**
 * Predicts image after image, in the order given; one that can't be used is reported as such and the rest go on.
 * @param found is told of each prediction
 * @throws UsageError, DataError, CheckpointError or DeviceError
 */
export async function predict(options: PredictOptions, found: (prediction: Prediction) => void): Promise<Predictions> {
  checkOptions("predict", options, OPTIONS);
  const { top = 5 } = options;
  const views = checkViews(options.views ?? 1);
  if (!Number.isInteger(top) || top < 1) throw new UsageError(`--top ${top}: must be a whole number above 0`);
  const { images, remarks } = await findImages(options.images);
  const trained = openTrained(options.model);
  try {
    const backend = await openDeviceOf(options);
    try {
      const { model, mean } = trained.load(backend);
      const { record, crop } = trained.network;
      const cells: AnsweredImage[] = [];
      for await (const { images: batch, pixels, errors } of decodeImages(images, record)) {
        const p = await probabilities(model, mean, pixels, testViews(views, batch.length, record, crop));
        for (const [n, image] of batch.entries()) {
          const error = errors[n];
          if (error !== undefined) {
            found({ image: image.name, error });
            continue;
          }
          const column = Float64Array.from(trained.classes, (_, k) => p[k * batch.length + n]!);
          const classes = mostProbable(column, top).map((k) => ({
            name: trained.classes[k]!,
            probability: column[k]!,
          }));
          found({ image: image.name, classes });
          if (options.out !== undefined && cells.length < MAX_DRAWN) {
            cells.push(await cellOf(image, classes, trained.classes));
          }
        }
      }
      const [network, weights] = [trained.network.name, trained.weights.path];
      const boxed = options.model === undefined && trained.weights.isBoxed ? { boxed: trained.classes } : {};
      const result = { network, weights, ...boxed, device: backend.description, remarks };
      if (options.out === undefined || cells.length === 0) return result;
      const file = resolve(options.out);
      const first = cells.length < MAX_DRAWN ? "" : `, the first ${MAX_DRAWN} images`;
      const fact = `by ${nameOf(weights)}${first}; red: the class that the folder is named after`;
      const png = await renderPng(await drawAnswers({ title: `What ${network} sees`, facts: [fact], cells }));
      await replaceFile(file, (append) => append(png));
      return { ...result, picture: { file, images: cells.length } };
    } finally {
      await backend.close();
    }
  } finally {
    trained.close();
  }
}

async function cellOf(
  image: NamedImage,
  classes: readonly { readonly name: string; readonly probability: number }[],
  all: readonly string[],
): Promise<AnsweredImage> {
  const right = image.name === "-" ? undefined : classOfFolder(image.name, all);
  const bars = classes.map((each) => ({ ...each, isRight: each.name === right }));
  const known = right === undefined ? {} : { right };
  return { image: await thumbnailOfNamed(image), name: image.name, bars, ...known };
}
