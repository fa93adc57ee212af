/** A model's answers for a few images, and whether they are like anything that it was trained on. */
import { activationsAndLogits, probabilities, softmax } from "./forward.ts";
import type { Familiar } from "./known.ts";
import type { Member } from "./member.ts";

export interface Assessment {
  /** Class probabilities, classes × N, averaged over the views. */
  readonly p: Float64Array;
  /** Distance of each image, in its first view, from what the model was trained on; if that is known. */
  readonly distances?: readonly number[];
}

/** @param views the first is of the centre, by which distances were measured in training */
export async function assess(
  { model, mean, temperature }: Member,
  pixels: Uint8Array,
  views: readonly Float32Array[],
  familiar: Familiar | undefined,
): Promise<Assessment> {
  if (!familiar) return { p: await probabilities(model, mean, pixels, views, temperature) };
  const [centre, ...others] = views as [Float32Array, ...Float32Array[]];
  const { rows, logits } = await activationsAndLogits(model, mean, { pixels, views: centre }, familiar.count);
  const images = logits.length / model.classes;
  const size = rows.length / images;
  const distances = Array.from({ length: images }, (_, n) =>
    familiar.known.distance(rows.subarray(n * size, (n + 1) * size)),
  );
  const p = softmax(logits, images, temperature);
  if (others.length === 0) return { p, distances };
  const rest = await probabilities(model, mean, pixels, others, temperature);
  return { p: p.map((each, i) => (each + others.length * rest[i]!) / views.length), distances };
}
