/** Checkpoints of networks that have not been trained. */
import { openReference } from "../../src/engine/reference.ts";
import { Model } from "../../src/net/model.ts";
import type { Network } from "../../src/net/recipe.ts";
import { saveCheckpoint } from "../../src/weights/checkpoint.ts";

/** Saves a network with random weights by `seed`; its mean image is grey. */
export async function saveUntrained(
  path: string,
  network: Network,
  classes: readonly string[],
  seed: number,
): Promise<void> {
  const model = new Model(network, openReference("f32"), classes.length);
  model.initialise(seed);
  const mean = new Float32Array(network.record ** 2 * 3).fill(100);
  await saveCheckpoint(path, { model, classes, mean, state: {} });
  model.free();
}
