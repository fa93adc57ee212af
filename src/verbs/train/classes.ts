/** The sizes of a set's classes: what is unusual about them is said before a training; and the weights that even them out. */
import type { Dataset } from "../../data/dataset.ts";
import type { Opened } from "../../data/open.ts";
import { balancedWeights, classCounts, namedWeights } from "../../data/sampling.ts";
import { setting } from "../../option_names.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import type { Session } from "../../training/session.ts";
import { count, plural } from "../../words.ts";

/** How many times as many images as the smallest class the largest may have before that is said. */
const MOST_TIMES = 5;

interface Imbalance {
  /** Class indices; classes without images don't count. */
  readonly largest: number;
  readonly smallest: number;
  readonly counts: Float64Array;
}

/** Undefined up to 5:1. */
export function imbalanceOf(set: Dataset): Imbalance | undefined {
  const counts = classCounts(set);
  const labels = [...counts.keys()].filter((label) => counts[label]! > 0);
  const largest = labels.reduce((most, label) => (counts[label]! > counts[most]! ? label : most));
  const smallest = labels.reduce((least, label) => (counts[label]! < counts[least]! ? label : least));
  return counts[largest]! > MOST_TIMES * counts[smallest]! ? { largest, smallest, counts } : undefined;
}

/**
 * A line for each thing to know about the classes.
 * @param isAsked whether the user said how often images of each class are to be seen
 */
export function remarksOnClasses({ train, val }: Opened, { balance }: TrainConfig, isAsked: boolean): string[] {
  const lines: string[] = [];
  const { classes } = train;
  const found = isAsked ? undefined : imbalanceOf(train);
  if (found) {
    const { largest, smallest, counts } = found;
    const consequence =
      balance === 1
        ? `all classes are shown equally often (every image once an epoch: ${setting("balance", 0)})`
        : `${setting("balance", 1)} shows all classes equally often`;
    lines.push(
      `class "${classes[largest]}" has ${plural(counts[largest]!, "training image")} and ` +
        `"${classes[smallest]}" ${count(counts[smallest]!)}: ${consequence}`,
    );
  }
  const unseen = [...classCounts(val)].flatMap((images, label) => (images === 0 ? [label] : []));
  if (unseen.length > 0) {
    const [first] = unseen;
    const images = classCounts(train)[first!]!;
    lines.push(
      `${plural(unseen.length, "class has", "classes have")} no validation image, first "${classes[first!]}" ` +
        `(${plural(images, "training image")}): the score says nothing about ${unseen.length === 1 ? "it" : "them"}`,
    );
  }
  return lines;
}

/** How often images of each class are seen, and how much they count. */
export function classWeights(config: TrainConfig, set: Dataset): Pick<Session, "weights" | "lossWeights"> {
  const { balance, weights, lossWeights } = config;
  const seen = () => {
    const named = namedWeights(set, weights ?? {}, "weights");
    return balancedWeights(set, balance).map((weight, label) => weight * named[label]!);
  };
  const counting = () =>
    lossWeights === "balanced" ? evenWeights(set) : namedWeights(set, lossWeights ?? {}, "lossWeights");
  return {
    ...((balance !== 0 || weights !== null) && { weights: seen() }),
    ...(lossWeights !== null && { lossWeights: counting() }),
  };
}

/** Weights with which every class counts as much as the mean of them; 0 for those without images. */
function evenWeights(set: Dataset): number[] {
  const counts = Array.from(classCounts(set));
  const seen = counts.filter((images) => images > 0).length;
  return counts.map((images) => (images === 0 ? 0 : set.length / (seen * images)));
}
