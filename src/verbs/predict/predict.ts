/** Predictions for images: the most probable classes of each. */
import { resolve } from "node:path";
import { testViews, VIEW_COUNTS } from "../../data/augmentation.ts";
import type { Remark } from "../../data/remarks.ts";
import { DEVICE_OPTIONS, openDeviceOf, type DeviceOptions } from "../../devices/open.ts";
import { DataError } from "../../errors.ts";
import { mostProbable } from "../../inference/answers.ts";
import { assess } from "../../inference/assess.ts";
import { familiarTo } from "../../inference/known.ts";
import { openTrained } from "../../inference/loaded_model.ts";
import { replaceFile } from "../../io/files.ts";
import { drawAnswers, type AnsweredImage } from "../../pictures/answers.ts";
import { renderPng } from "../../pictures/svg.ts";
import { working, type Context, type Notice } from "../../ranks/context.ts";
import { nameOf } from "../../runs/weights.ts";
import { numberThat } from "../../rules.ts";
import { count, number, oneOf, text, type OptionsOf } from "../../schema.ts";
import {
  classOfFolder,
  decodeImages,
  findImages,
  images,
  thumbnailOfNamed,
  type NamedImage,
} from "../shared/images.ts";

const PROBABILITY = numberThat((value) => value > 0 && value <= 1, "a probability above 0, up to 1");

export const PREDICT_OPTIONS = {
  /** Paths of image files and of folders of them, "-" for standard input; or the bytes of JPEG, PNG or WebP files. */
  images: images("Image files, folders of them, or - for standard input", { needed: true }),
  /** A run or a checkpoint file; by default the newest run or, if there is none, the network in the box. */
  model: text("A run or a .safetensors file (the newest run; if there is none, the network in the box)", {
    hint: "RUN",
  }),
  /** 1: the centre; 2: the centre and its mirror image; 6: also shifted by a pixel; 10: corners and centre, and their mirror images. */
  views: oneOf(
    VIEW_COUNTS,
    "Crops of each image: 1, the centre; 2, also mirrored; 6, also shifted by a pixel; 10, centre and corners (1)",
    { hint: "1|2|6|10" },
  ),
  /** Number of classes to name. */
  top: count("Number of classes to name (5)", { hint: "N" }),
  /** Answers whose most probable class has less than this probability are unsure; by default none is. */
  atLeast: number("Say unsure where the most probable class has less than this probability, such as 0.7", {
    hint: "P",
    rule: PROBABILITY,
  }),
  /** A PNG file to draw the images with their classes to; by default none. */
  out: text("Draw the images with their classes as bars; red is the class that the folder is named after", {
    hint: "FILE.png",
  }),
  ...DEVICE_OPTIONS,
};

export interface PredictOptions extends OptionsOf<typeof PREDICT_OPTIONS> {}

export type Prediction =
  | {
      /** The path, "-" for standard input, or "image 2" where the second of `images` is bytes. */
      readonly image: string;
      readonly classes: readonly { readonly name: string; readonly probability: number }[];
      /** Whether the first class has less than `atLeast`. */
      readonly unsure?: true;
      /** Whether the image is unlike anything that the network was trained on. */
      readonly unlike?: true;
      /** From the nearest of what it was trained on: 0 for the same features, 1 for none in common; if that is known. */
      readonly distance?: number;
    }
  | { readonly image: string; readonly error: string };

export interface Predictions {
  /** In the order of the images. */
  readonly predictions: readonly Prediction[];
  readonly network: string;
  readonly weights: string;
  /** The network that stands in because none was named or trained: in the box, or a pretrained one; and its classes. */
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
  const { views = 1, top = 5, atLeast = 0 } = options;
  const { images: found, remarks } = await findImages(options.images);
  // The device starts its threads while the weights are being read.
  const opening = openDeviceOf(found.length <= FEW ? forFew(options) : options);
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => (await opening.catch(() => undefined))?.close());
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
    const { p, distances } = await assess(member, pixels, testViews(views, batch.length, record, crop), familiar);
    for (const [n, image] of batch.entries()) {
      const error = errors[n];
      if (error !== undefined) {
        answer({ image: image.name, error });
        continue;
      }
      const column = Float64Array.from(trained.classes, (_, k) => p[k * batch.length + n]!);
      const classes = mostProbable(column, top).map((k) => ({ name: trained.classes[k]!, probability: column[k]! }));
      const distance = distances?.[n];
      answer({
        ...{ image: image.name, classes },
        ...(classes[0]!.probability < atLeast && { unsure: true as const }),
        ...(distance !== undefined && { ...(distance > familiar!.limit && { unlike: true as const }), distance }),
      });
      if (options.out !== undefined && cells.length < MAX_DRAWN) {
        cells.push(await cellOf(image, classes, trained.classes));
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
  const fact = `by ${nameOf(weights)}${first}; red: the class that the folder is named after`;
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
