/** What a confusion matrix says about each class, and which classes are confused most. */
import { drawConfusion } from "../../pictures/confusion.ts";
import { NUMBERED, type PageClasses } from "../../pictures/report_classes.ts";
import type { Confusion } from "../../runs/runs.ts";
import { plural } from "../../words.ts";

export interface ClassScore {
  readonly name: string;
  /** Number of images of the class, of images that were answered with it, and of those that are both. */
  readonly images: number;
  readonly predicted: number;
  readonly right: number;
}

/** In the order of the classes. */
export function classScores({ classes, entries }: Pick<Confusion, "classes" | "entries">): ClassScore[] {
  const counts = classes.map(() => ({ images: 0, predicted: 0, right: 0 }));
  for (const [label, predicted, images] of entries) {
    counts[label]!.images += images;
    counts[predicted]!.predicted += images;
    if (label === predicted) counts[label]!.right += images;
  }
  return counts.map((each, k) => ({ name: classes[k]!, ...each }));
}

/** How many confusions are listed. */
const LISTED = 20;

/** What the page shows of a confusion matrix. */
export async function pageClasses(confusion: Confusion): Promise<PageClasses> {
  const { classes, entries, epoch } = confusion;
  const scores = classScores(confusion);
  const images = scores.reduce((sum, each) => sum + each.images, 0);
  const confusions = entries
    .filter(([label, predicted]) => label !== predicted)
    .toSorted((a, b) => b[2] - a[2])
    .slice(0, LISTED)
    .map(([label, predicted, images]) => ({
      ...{ right: classes[label]!, answer: classes[predicted]! },
      ...{ images, of: scores[label]!.images },
    }));
  const of = epoch === 0 ? "the last layer alone" : `epoch ${epoch}, the best`;
  const note = `${plural(images, "validation image")}; of ${of}`;
  return { note, scores, confusions, matrix: await matrixOf(confusion) };
}

async function matrixOf({ classes, entries, epoch }: Confusion): Promise<PageClasses["matrix"]> {
  if (classes.length <= NUMBERED) {
    const rows = classes.map(() => Array<number>(classes.length).fill(0));
    for (const [label, predicted, images] of entries) rows[label]![predicted] = images;
    return rows;
  }
  const svg = await drawConfusion({ title: `Validation of epoch ${epoch}`, classes, entries, withoutList: true });
  const source = `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
  return { source, width: Number(/ width="(\d+)"/.exec(svg)?.[1]) };
}
