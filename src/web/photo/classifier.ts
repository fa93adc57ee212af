/** The page's network on a device: what it answers, and which part of an image speaks for an answer. */
import { centreView } from "../../data/augmentation.ts";
import type { Backend } from "../../engine/backend.ts";
import { assess } from "../../inference/assess.ts";
import { classActivationMaps, lastMaps } from "../../inference/cam.ts";
import { classificationOf } from "../../inference/classification.ts";
import { familiarTo, type Familiar } from "../../inference/known.ts";
import type { Member } from "../../inference/member.ts";
import { mostProbable } from "../../inference/most_probable.ts";
import { networkIn } from "../../net/definition.ts";
import { Model } from "../../net/model.ts";
import { uploadMean } from "../../net/passes.ts";
import type { Network } from "../../net/recipe.ts";
import { readCheckpoint, type Checkpoint } from "../../weights/checkpoint_reader.ts";
import type { Answer, ClassMap } from "./messages.ts";
import { tensorsIn } from "./unpack.ts";

/** How many classes are named. */
const TOP = 5;

export interface Opened {
  readonly checkpoint: Checkpoint;
  readonly network: Network;
}

/** @param file a checkpoint's bytes */
export function openWeights(file: Uint8Array<ArrayBuffer>): Opened {
  const checkpoint = readCheckpoint("the page", tensorsIn(file));
  return { checkpoint, network: networkIn(checkpoint.metadata, "the page") };
}

export class Classifier {
  readonly network: Network;
  readonly #classes: readonly string[];
  readonly #backend: Backend;
  readonly #member: Member;
  readonly #familiar: Familiar | undefined;
  readonly #atLeast: number;

  constructor({ checkpoint, network }: Opened, backend: Backend, atLeast = 0) {
    const { classes, calibration, mean } = checkpoint;
    const model = new Model(network, backend, classes.length);
    checkpoint.loadInto(model);
    this.network = network;
    this.#classes = classes;
    this.#backend = backend;
    this.#member = {
      model,
      mean: uploadMean(backend, network.record, mean),
      ...(calibration && { temperature: calibration.temperature }),
    };
    this.#familiar = familiarTo(checkpoint, model.layers);
    this.#atLeast = atLeast;
  }

  get isOnGpu(): boolean {
    return this.#backend.kind === "webgpu";
  }

  /** For people. */
  get device(): string {
    return this.isOnGpu ? this.#backend.description : "WebAssembly, one thread of the processor";
  }

  /** Whether the network has class activation maps. */
  get hasMaps(): boolean {
    return lastMaps(this.#member.model.layers) !== undefined;
  }

  /** @param record S × S × 3 bytes @throws DeviceError */
  async answer(record: Uint8Array): Promise<Pick<Answer, "classes" | "unsure" | "unlike">> {
    const assessed = await assess(this.#member, record, [this.#view()], this.#familiar);
    const options = { top: TOP, atLeast: this.#atLeast };
    const { classes, unsure, unlike } = classificationOf(assessed, 0, this.#classes, options, this.#familiar?.limit);
    const labels = mostProbable(assessed.p, TOP);
    return {
      classes: classes.map((each, i) => ({ ...each, label: labels[i]! })),
      unsure: unsure === true,
      unlike: unlike === true,
    };
  }

  /** The class activation map of a class. @throws DeviceError */
  async map(record: Uint8Array, label: number): Promise<ClassMap> {
    const images = { pixels: record, views: this.#view() };
    const { side, maps: [values] } = await classActivationMaps(this.#member, images, [label]); // prettier-ignore
    return { label, side, values: values! };
  }

  /** Of the centre, as `predict` sees it. */
  #view(): Float32Array {
    return centreView(1, this.network.record, this.network.crop);
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }
}
