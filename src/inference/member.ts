import type { Tensor } from "../engine/tensor.ts";
import type { Model } from "../net/model.ts";

/** A model with its weights on a device, and the mean image to subtract from its inputs. */
export interface Member {
  readonly model: Model;
  readonly mean: Tensor;
  /** What its logits are divided by before the softmax; 1 if it was not calibrated. */
  readonly temperature?: number;
}
