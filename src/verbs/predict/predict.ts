/** Predictions for images: the most probable classes of each. */
import { resolve } from "node:path";
import { testViews } from "../../data/augmentation.ts";
import type { Remark } from "../../data/remarks.ts";
import { DEVICE_OPTIONS, openMeanwhile, type DeviceOptions } from "../../devices/open.ts";
import { DataError } from "../../errors.ts";
import { assess } from "../../inference/assess.ts";
import { classificationOf, CLASSIFY_OPTIONS, type Classification } from "../../inference/classification.ts";
import { familiarTo } from "../../inference/known.ts";
import { openTrained } from "../../inference/loaded_model.ts";
import { replaceFile } from "../../io/files.ts";
import { drawAnswers, type AnsweredImage } from "../../pictures/answers.ts";
import { renderPng } from "../../pictures/svg.ts";
import { working, type Context, type Notice } from "../../ranks/context.ts";
import { nameOf } from "../../runs/weights.ts";
import { text, type OptionsOf } from "../../schema.ts";
import {
  classOfFolder,
  decodeImages,
  findImages,
  images,
  thumbnailOfNamed,
  type NamedImage,
} from "../shared/images.ts";

export const PREDICT_OPTIONS = {
  /** Paths of image files and of folders of them, "-" for standard input; or the bytes of JPEG, PNG or WebP files. */
  images: images("Image files, folders of them, or - for standard input", { needed: true }),
  /**
   * A run, a checkpoint file, or a pretrained network by its name; by default the newest run or, if there is none,
   * `imagenet`; if that can't be fetched, the network in the box.
   */
  model: text("A run or a .safetensors file (the newest run; if there is none, imagenet, or else the one in the box)", {
    hint: "RUN",
  }),
  ...CLASSIFY_OPTIONS,
  /** A PNG file to draw the images with their classes to; by default none. */
  out: text("Draw the images with their classes as bars; red is the class that the folder is named after", {
    hint: "FILE.png",
  }),
  ...DEVICE_OPTIONS,
};

export interface PredictOptions extends OptionsOf<typeof PREDICT_OPTIONS> {}

export type Prediction =
  /** The path, "-" for standard input, or "image 2" where the second of `images` is bytes. */
  ({ readonly image: string } & Classification) | { readonly image: string; readonly error: string };

export interface Predictions {
  /** In the order of the images. */
  readonly predictions: readonly Prediction[];
  readonly network: string;
  readonly weights: string;
  /** The network that stands in because none was named or trained: a pretrained one, or the one in the box. */
  readonly standIn?: {
    readonly origin: "box" | "pretrained";
    /** Of the network in the box: why the pretrained one can't be had. */
    readonly because?: string;
    readonly classes: readonly string[];
  };
  readonly device: string;
  /** What was ignored in the named folders. */
  readonly remarks: readonly Remark[];
  /** The picture's absolute path, and the number of images on it, if requested. */
  readonly picture?: { readonly file: string; readonly images: number };
}

/** So few images are classified on the cpu before a GPU is ready. */
const FEW = 8;

/** The cpu, unless options ask for a GPU. */
function forFew(options: PredictOptions): DeviceOptions {
  const { device = "auto", tune } = options;
  return device.toLowerCase() === "auto" && tune === undefined ? { ...options, device: "cpu" } : options;
}

/** Viewers refuse pictures with many more images. */
const MAX_DRAWN = 64;

export type PredictEvent = Notice | { readonly type: "prediction"; readonly prediction: Prediction };

/**
 * Classifies images in the order given, and calls `onEvent` with each prediction; an image that can't be used is
 * reported there, and the rest continue. Each call opens a device and reads the weights: what classifies again and
 * again does so by `load`.
 * @throws UsageError, DataError, CheckpointError or DeviceError
 */
export async function predict(call: PredictOptions & Context<PredictEvent>): Promise<Predictions> {
  const { options, report, signal, note } = working("predict", call, PREDICT_OPTIONS);
  const { views = 1 } = options;
  const { images: found, remarks } = await findImages(options.images);
  await using stack = new AsyncDisposableStack();
  // The device starts its threads while the weights are being read.
  const opening = openMeanwhile(stack, found.length <= FEW ? forFew(options) : options);
  using trained = await openTrained(options.model, note);
  const backend = await opening;
  const member = trained.load(backend);
  const familiar = familiarTo(trained.checkpoint, member.model.layers);
  const { record, crop } = trained.network;
  const cells: AnsweredImage[] = [];
  const predictions: Prediction[] = [];
  const answer = (prediction: Prediction) => {
    predictions.push(prediction);
    report({ type: "prediction", prediction });
  };
  for await (const { images: batch, pixels, errors } of decodeImages(found, trained.network)) {
    signal.throwIfAborted();
    const assessed = await assess(member, pixels, testViews(views, batch.length, record, crop), familiar);
    for (const [n, image] of batch.entries()) {
      const error = errors[n];
      if (error !== undefined) {
        answer({ image: image.name, error });
        continue;
      }
      const classification = classificationOf(assessed, n, trained.classes, options, familiar?.limit);
      answer({ image: image.name, ...classification });
      if (options.out !== undefined && cells.length < MAX_DRAWN) {
        cells.push(await cellOf(image, classification.classes, trained.classes));
      }
    }
  }
  const [network, weights] = [trained.network.name, trained.weights.path];
  const { origin, because } = trained.weights;
  const standIn =
    options.model === undefined && origin !== "own"
      ? { standIn: { origin, classes: trained.classes, ...(because && { because }) } }
      : {};
  const result = { predictions, network, weights, ...standIn, device: backend.description, remarks };
  if (options.out === undefined || cells.length === 0) return result;
  const file = resolve(options.out);
  const first = cells.length < MAX_DRAWN ? "" : `, the first ${MAX_DRAWN} images`;
  const fact = `by ${nameOf(trained.weights)}${first}; red: the class that the folder is named after`;
  const png = await renderPng(await drawAnswers({ title: `What ${network} sees`, facts: [fact], cells }));
  await replaceFile(file, (append) => append(png));
  return { ...result, picture: { file, images: cells.length } };
}

async function cellOf(
  image: NamedImage,
  classes: readonly { readonly name: string; readonly probability: number }[],
  all: readonly string[],
): Promise<AnsweredImage> {
  const isFile = !(image.image instanceof DataError || "kind" in image.image);
  const right = isFile ? classOfFolder(image.name, all) : undefined;
  const bars = classes.map((each) => ({ ...each, isRight: each.name === right }));
  const known = right === undefined ? {} : { right };
  return { image: await thumbnailOfNamed(image), name: image.name, bars, ...known };
}
