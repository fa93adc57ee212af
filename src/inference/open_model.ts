/** A trained network on a device, for programs that compute with it themselves. */
import { centreView } from "../data/augmentation.ts";
import type { Encoded } from "../data/dataset.ts";
import { BadImage, decodeRecord } from "../data/decode.ts";
import { readImage } from "../data/open.ts";
import type { Backend } from "../engine/backend.ts";
import type { Tape } from "../engine/tape.ts";
import type { Tensor } from "../engine/tensor.ts";
import { DataError } from "../errors.ts";
import type { Model } from "../net/model.ts";
import { networkInput } from "../net/passes.ts";
import { openTrained } from "./loaded_model.ts";

export interface OpenModel {
  readonly model: Model;
  /** Class names, in the order of the outputs. */
  readonly classes: readonly string[];
  /** The mean image of the training set on the device, S × S × 3, where S is `model.network.record`. */
  readonly mean: Tensor;
  /**
   * The network's input: the centre of each image less the mean, 3 × crop × crop × N.
   * @param images paths, or the bytes of JPEG, PNG or WebP files
   * @throws DataError for an image that can't be used
   */
  input(tape: Tape, images: readonly (string | Uint8Array)[]): Promise<Tensor>;
}

/**
 * Loads the weights of a run, a file, or a pretrained network onto a device. Closing the device frees them.
 * @param name as `model` of `predict`
 * @throws UsageError when nothing has this name; CheckpointError; DeviceError
 */
export async function openModel(device: Backend, name?: string): Promise<OpenModel> {
  using trained = await openTrained(name);
  const { model, mean } = trained.load(device);
  const { record, crop, resize } = model.network;
  const bytes = record * record * 3;
  return {
    ...{ model, mean, classes: trained.classes },
    async input(tape, images) {
      const pixels = new Uint8Array(images.length * bytes);
      for (const [n, image] of images.entries()) {
        const encoded: Encoded = typeof image === "string" ? await readImage(image) : { kind: "encoded", bytes: image };
        try {
          await decodeRecord(encoded, record, pixels.subarray(n * bytes, (n + 1) * bytes), resize);
        } catch (error) {
          if (!(error instanceof BadImage)) throw error;
          throw new DataError(`${typeof image === "string" ? image : `image ${n + 1}`}: ${error.message}`);
        }
      }
      return networkInput(tape, model, mean, { pixels, views: centreView(images.length, record, crop) });
    },
  };
}
