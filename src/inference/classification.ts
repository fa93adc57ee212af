/** What a model says of one image: the most probable classes, and whether that can be relied on. */
import { VIEW_COUNTS } from "../data/augmentation.ts";
import { numberThat } from "../rules.ts";
import { count, number, oneOf, type OptionsOf } from "../schema.ts";
import { mostProbable } from "./most_probable.ts";

const PROBABILITY = numberThat((value) => value > 0 && value <= 1, "a probability above 0, up to 1");

export const CLASSIFY_OPTIONS = {
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
};

export interface Classification {
  /** The most probable classes in order. */
  readonly classes: readonly { readonly name: string; readonly probability: number }[];
  /** Whether the first class has less than `atLeast`. */
  readonly unsure?: true;
  /** Whether the image is unlike anything that the network was trained on. */
  readonly unlike?: true;
  /** From the nearest of what it was trained on: 0 for the same features, 1 for none in common; if that is known. */
  readonly distance?: number;
}

/** Probabilities of a batch, and the distances of its images from what the model knows, if that is known. */
interface Assessed {
  /** Classes × images. */
  readonly p: Float64Array;
  readonly distances?: readonly number[];
}

/**
 * The classification of image `n` of a batch.
 * @param names of the classes
 * @param limit the distance beyond which an image is unlike all that the model knows
 */
export function classificationOf(
  { p, distances }: Assessed,
  n: number,
  names: readonly string[],
  { top = 5, atLeast = 0 }: Pick<OptionsOf<typeof CLASSIFY_OPTIONS>, "top" | "atLeast">,
  limit: number | undefined,
): Classification {
  const images = p.length / names.length;
  const column = Float64Array.from(names, (_, k) => p[k * images + n]!);
  const classes = mostProbable(column, top).map((k) => ({ name: names[k]!, probability: column[k]! }));
  const distance = distances?.[n];
  return {
    classes,
    ...(classes[0]!.probability < atLeast && { unsure: true as const }),
    ...(distance !== undefined && { ...(distance > limit! && { unlike: true as const }), distance }),
  };
}
