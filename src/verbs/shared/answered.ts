/** Answers for pictures. */
import type { Dataset } from "../../data/dataset.ts";
import type { Answer } from "../../inference/answers.ts";
import type { AnsweredImage } from "../../pictures/answers.ts";
import { thumbnailOf } from "./thumbnails.ts";

/** An image with its most probable classes, of which the last gives way to the right one if that is not among them. */
export async function answeredImage(
  dataset: Dataset,
  classes: readonly string[],
  { index, label, loss, best }: Answer,
): Promise<AnsweredImage> {
  const bars = best.slice(0, 3).map((each) => ({
    ...{ name: classes[each.label]!, probability: each.probability },
    isRight: each.label === label,
  }));
  const right = { name: classes[label]!, probability: Math.exp(-loss), isRight: true };
  if (!bars.some(({ isRight }) => isRight)) bars[bars.length - 1] = right;
  return { image: await thumbnailOf(dataset, index), name: dataset.nameOf(index), right: right.name, bars };
}
