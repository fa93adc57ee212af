/** A model that stays open on its device and classifies images as they come: the library's `load`. */
import { resolve } from "node:path";
import { testViews, type ViewCount } from "../data/augmentation.ts";
import { decodeRows, withOwnMemory } from "../data/decoding.ts";
import { MAX_FILE_BYTES } from "../data/reading.ts";
import { DEVICE_OPTIONS, openMeanwhile } from "../devices/open.ts";
import type { Backend } from "../engine/backend.ts";
import { DataError, UsageError } from "../errors.ts";
import { isUrl, NOT_FETCHED, reason } from "../io/files.ts";
import { checkOptions, show } from "../options.ts";
import { wholeFromTo } from "../rules.ts";
import { checkRules, flag, number, validate, type Option, type OptionsOf } from "../schema.ts";
import { assess, type Assessment } from "./assess.ts";
import { Batching } from "./batching.ts";
import { classificationOf, CLASSIFY_OPTIONS, type Classification } from "./classification.ts";
import { familiarTo, type Familiar } from "./known.ts";
import { openTrained, usualBatch, type Trained } from "./loaded_model.ts";
import type { Member } from "./member.ts";

const MOST_IMAGES = 16;

export const LOAD_OPTIONS = {
  /** Whether a pretrained network may be fetched if the cache folder doesn't have it; not by default. */
  fetch: flag(),
  /** The most images that the device computes at once; 16 by default. */
  batch: number("The most images that are computed at once (16)", { hint: "N", rule: wholeFromTo(1, 1024) }),
  /** Called with a line about each download. */
  note: { kind: "function", needed: false } as Option<(line: string) => void, false>,
  ...DEVICE_OPTIONS,
};

export interface LoadOptions extends OptionsOf<typeof LOAD_OPTIONS> {}

export interface ClassifyOptions extends OptionsOf<typeof CLASSIFY_OPTIONS> {
  /** Gives up waiting: the call rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** An image file's bytes, or its path. */
export type ImageSource = Uint8Array | ArrayBuffer | Blob | string;

/**
 * Opens a model and a device, and keeps both until `close`.
 * @param model the folder or name of a run, a weights file, or a pretrained network such as "imagenet"; by default the
 *   newest run's or, if there is none, the pretrained network for photos or, where that is missing, the one in the box
 * @throws UsageError when nothing has this name, or it would have to be fetched; CheckpointError for damaged weights;
 *   DataError when fetching fails; DeviceError
 */
export async function load(model?: string, options: LoadOptions = {}): Promise<Classifier> {
  if (model !== undefined && typeof model !== "string")
    throw new UsageError(`load: the model is ${show(model)}, must be a string`);
  validate("load", options, LOAD_OPTIONS);
  const { fetch = false, note } = options;
  await using stack = new AsyncDisposableStack();
  // The device starts its threads while the weights are being read.
  const opening = openMeanwhile(stack, options);
  using trained = await openTrained(model, note, fetch);
  const backend = await opening;
  const batch = options.batch ?? usualBatch([trained], MOST_IMAGES, backend);
  const member = trained.load(backend, batch);
  const familiar = familiarTo(trained.checkpoint, member.model.layers);
  stack.move();
  return new OpenClassifier(trained, member, familiar, backend, batch);
}

/** A result of a batch, before it is put into words: that of image `n`. */
interface Column {
  readonly assessed: Assessment;
  readonly n: number;
}

/** A model that is open on a device, as `load` gives it. */
export interface Classifier extends AsyncDisposable {
  /** The network's name. */
  readonly network: string;
  /** The weights file. */
  readonly weights: string;
  /** Where the weights come from: trained or named by the user, in the box that comes with the program, or fetched. */
  readonly origin: "own" | "box" | "pretrained";
  /** Class names, in the order of the outputs. */
  readonly classes: readonly string[];
  /** For people: the threads, or the GPU. */
  readonly device: string;
  /** Images that are being decoded or wait for the device. */
  readonly waiting: number;
  /** Batches computed so far. */
  readonly batches: number;

  /**
   * Classifies an image. Images of calls that wait at the same time are computed together, which changes probabilities
   * by rounding only (less than 0.00001): the device adds up in another order.
   * @param image its bytes, JPEG, PNG or WebP, not to be changed until this resolves; or its path
   * @throws DataError for an image that can't be used, which concerns no other call; UsageError for wrong options or
   *   after `close`; the signal's reason; DeviceError when the device fails
   */
  classify(image: ImageSource, options?: ClassifyOptions): Promise<Classification>;

  /**
   * Computes a batch of each size with one view, so that nothing needs to be compiled or measured any more when the
   * first image comes.
   * @throws DeviceError
   */
  warmUp(): Promise<void>;

  /** Answers what has been asked, then frees the device. */
  close(): Promise<void>;
}

class OpenClassifier implements Classifier {
  readonly network: string;
  readonly weights: string;
  readonly origin: "own" | "box" | "pretrained";
  readonly classes: readonly string[];
  readonly device: string;
  readonly #member: Member;
  readonly #familiar: Familiar | undefined;
  readonly #backend: Backend;
  readonly #most: number;
  readonly #batching: Batching<Column>;
  #closing: Promise<void> | undefined;

  /** @param most images in a batch */
  constructor(
    { network, weights, classes }: Pick<Trained, "network" | "weights" | "classes">,
    member: Member,
    familiar: Familiar | undefined,
    backend: Backend,
    most: number,
  ) {
    this.network = network.name;
    this.weights = weights.path;
    this.origin = weights.origin;
    this.classes = classes;
    this.device = backend.description;
    [this.#member, this.#familiar, this.#backend, this.#most] = [member, familiar, backend, most];
    const compute = async (views: number, pixels: Uint8Array, images: number): Promise<Column[]> => {
      const assessed = await this.#assess(views as ViewCount, pixels);
      return Array.from({ length: images }, (_, n) => ({ assessed, n }));
    };
    this.#batching = new Batching({ most, bytes: this.#recordBytes, compute });
  }

  get waiting(): number {
    return this.#batching.waiting;
  }

  get batches(): number {
    return this.#batching.batches;
  }

  async classify(image: ImageSource, options: ClassifyOptions = {}): Promise<Classification> {
    const { views = 1, signal, ...rest } = checked(options);
    this.#requireOpen();
    const decode = async (record: SharedArrayBuffer) => this.#decode(image, record, signal);
    const { assessed, n } = await this.#batching.add(views, decode, signal);
    return classificationOf(assessed, n, this.classes, rest, this.#familiar?.limit);
  }

  async warmUp(): Promise<void> {
    this.#requireOpen();
    for (let size = 1; ; size = Math.min(2 * size, this.#most)) {
      await this.#assess(1, new Uint8Array(size * this.#recordBytes));
      if (size === this.#most) return;
    }
  }

  async close(): Promise<void> {
    this.#closing ??= this.#batching.idle().then(() => this.#backend.close());
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #recordBytes(): number {
    return this.#member.model.network.record ** 2 * 3;
  }

  #requireOpen(): void {
    if (this.#closing) throw new UsageError("classify: the model is closed; load it again");
  }

  async #assess(views: ViewCount, pixels: Uint8Array): Promise<Assessment> {
    const { record, crop } = this.#member.model.network;
    const images = pixels.length / this.#recordBytes;
    return assess(this.#member, pixels, testViews(views, images, record, crop), this.#familiar);
  }

  /** Decodes in a thread, so that this one can take other calls. @throws DataError */
  async #decode(image: ImageSource, memory: SharedArrayBuffer, signal: AbortSignal | undefined): Promise<void> {
    const { record, resize = "bilinear" } = this.#member.model.network;
    const file =
      typeof image === "string" ? fileAt(image) : withOwnMemory({ kind: "encoded", bytes: await bytesOf(image) });
    const decoded = await decodeRows(memory, record, resize, [{ row: 0, image: file }], () => !signal?.aborted);
    const problem = decoded?.[0];
    if (problem === undefined) return;
    throw new DataError(typeof image === "string" ? `${image}: ${problem}` : `the image can't be used: ${problem}`);
  }
}

/** @throws UsageError */
function checked(options: ClassifyOptions): ClassifyOptions {
  checkOptions("classify", options, { views: "number?", top: "number?", atLeast: "number?", signal: "object?" });
  checkRules(options as Readonly<Record<string, unknown>>, CLASSIFY_OPTIONS);
  return options;
}

function fileAt(path: string) {
  if (isUrl(path)) throw new DataError(`${path}: ${NOT_FETCHED}`);
  return { path: resolve(path), offset: 0 };
}

/** @throws DataError when it is too large or can't be read; UsageError when it is none */
async function bytesOf(image: Exclude<ImageSource, string>): Promise<Uint8Array> {
  if (!(image instanceof Uint8Array || image instanceof ArrayBuffer || image instanceof Blob)) {
    throw new UsageError(
      `classify: the image is ${show(image)}, must be a Uint8Array, an ArrayBuffer, a Blob or a path`,
    );
  }
  const size = image instanceof Blob ? image.size : image.byteLength;
  if (size > MAX_FILE_BYTES) {
    throw new DataError(`the image can't be used: it has ${size} bytes; at most ${MAX_FILE_BYTES} are allowed`);
  }
  if (image instanceof Uint8Array) return image;
  if (image instanceof ArrayBuffer) return new Uint8Array(image);
  try {
    return await image.bytes();
  } catch (error) {
    throw new DataError(`the image can't be read: ${reason(error)}`, { cause: error });
  }
}
