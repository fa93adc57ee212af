/** Fine-tuning: training that starts from trained weights, possibly for other classes. */
import type { Dataset } from "../../data/dataset.ts";
import { CheckpointError } from "../../errors.ts";
import { learningLayers } from "../../net/layer_names.ts";
import type { Model } from "../../net/model.ts";
import type { Network } from "../../net/recipe.ts";
import { openWeights } from "../../runs/weights.ts";

/** The network and classes of a checkpoint. @throws CheckpointError, UsageError */
export function sourceOf(path: string): { network: Network; classes: readonly string[] } {
  const { checkpoint, network } = openWeights(path);
  const { classes } = checkpoint;
  checkpoint.close();
  return { network, classes };
}

/**
 * Loads a checkpoint's weights into an initialised model. If the classes differ, the last layer keeps its initial
 * weights.
 * @returns the mean image that the weights were trained with, and whether the last layer is new
 */
export function beginWith(path: string, model: Model, dataset: Dataset): { mean: Float32Array; isNewLast: boolean } {
  const { checkpoint, network } = openWeights(path);
  using _ = checkpoint;
  if (network.name !== model.network.name) {
    throw new CheckpointError(
      `${path} has weights of ${network.name}, but the model is ${model.network.name}: name the same with --model`,
    );
  }
  const isNewLast = !sameClasses(checkpoint.classes, dataset.classes);
  checkpoint.loadInto(model, undefined, isNewLast ? [learningLayers(network).at(-1)!] : []);
  return { mean: checkpoint.mean, isNewLast };
}

export function sameClasses(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}
