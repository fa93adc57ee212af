/** Fine-tuning: training goes on from the weights of another one, with other classes, some layers slower or not at all. */
import type { Dataset } from "../../data/dataset.ts";
import { CheckpointError } from "../../errors.ts";
import { learningLayers } from "../../net/layer_names.ts";
import type { Model } from "../../net/model.ts";
import type { Network } from "../../net/recipe.ts";
import { findWeights, openWeights } from "../../runs/weights.ts";

/** The network of the weights that a fine-tuning begins with, and whether they know the same classes. @throws CheckpointError, UsageError */
export function sourceOf(from: string): { path: string; network: Network; classes: readonly string[] } {
  const { path } = findWeights(from);
  const { checkpoint, network } = openWeights(path);
  const { classes } = checkpoint;
  checkpoint.close();
  return { path, network, classes };
}

/**
 * Puts the weights of a checkpoint into a model that was initialised. The last layer keeps its own where the classes
 * are others.
 * @returns the mean image that these weights are used to, and whether the last layer is new
 */
export function beginWith(path: string, model: Model, dataset: Dataset): { mean: Float32Array; isNewLast: boolean } {
  const { checkpoint, network } = openWeights(path);
  using _ = checkpoint;
  if (network.name !== model.network.name) {
    throw new CheckpointError(`${path}: weights of ${network.name}, the model is ${model.network.name}`);
  }
  const isNewLast = !sameClasses(checkpoint.classes, dataset.classes);
  checkpoint.loadInto(model, undefined, isNewLast ? [learningLayers(network).at(-1)!] : []);
  return { mean: checkpoint.mean, isNewLast };
}

export function sameClasses(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}
