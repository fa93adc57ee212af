/** What photos in class folders come to: the outcomes of trainings, each a command of its own, and their table. */
import { AlexNetError } from "../../src/errors.ts";
import { count, percent } from "../../src/words.ts";

/** One training. Seconds are from the start of its command. */
export interface Outcome {
  readonly seed: number;
  /** Shares of the validation images: of the last layer alone, of the best epoch of the whole network, of what is kept. */
  readonly lastLayer?: number;
  readonly whole?: number;
  readonly accuracy: number;
  /** Epochs of the whole network. */
  readonly epochs: number;
  /** Until the last layer's result, and until the end. */
  readonly lastLayerSeconds?: number;
  readonly seconds: number;
}

export interface PhotosRow {
  /** The folder's name, or the set's. */
  readonly set: string;
  readonly images: { readonly train: number; readonly val: number; readonly classes: number };
  readonly minutes: number;
  readonly outcomes: readonly Outcome[];
}

/** An event that `train --json` printed, and when. */
export interface Timed {
  readonly seconds: number;
  readonly event: Readonly<Record<string, any>>;
}

/** @throws AlexNetError when the training didn't come to its end */
export function outcomeOf(
  seed: number,
  events: readonly Timed[],
): { readonly outcome: Outcome; readonly images: PhotosRow["images"] } {
  const last = (type: string, is: (event: Timed["event"]) => boolean = () => true) =>
    events.findLast(({ event }) => event.type === type && is(event));
  const [start, end, head] = [last("start"), last("end"), last("epoch", ({ epoch }) => epoch === 0)];
  if (!start || !end || end.event.interrupted || typeof end.event.bestError !== "number") {
    throw new AlexNetError("the training did not come to its end");
  }
  const { bestError, phases } = end.event;
  return {
    images: { train: start.event.train, val: start.event.val, classes: start.event.classes },
    outcome: {
      seed,
      ...(phases && { lastLayer: 1 - phases.lastLayer }),
      ...(phases?.whole !== undefined && { whole: 1 - phases.whole }),
      accuracy: 1 - bestError,
      epochs: last("epoch")?.event.epoch ?? 0,
      ...(head && { lastLayerSeconds: head.seconds }),
      seconds: end.seconds,
    },
  };
}

/** A Markdown table: means over the seeds, with standard deviations of accuracies. */
export function photosTable(rows: readonly PhotosRow[]): string {
  const head = ["set", "images", "classes", "minutes", "seeds", "last layer", "after", "everything", "kept", "after"];
  const lines = rows.map(({ set, images, minutes, outcomes }) => {
    const of = (value: (outcome: Outcome) => number | undefined) =>
      outcomes.map(value).filter((each) => each !== undefined);
    return [
      ...[set, `${count(images.train)} + ${count(images.val)}`, count(images.classes), String(minutes)],
      ...[String(outcomes.length), share(of(({ lastLayer }) => lastLayer)), span(of((each) => each.lastLayerSeconds))],
      ...[share(of(({ whole }) => whole)), share(of(({ accuracy }) => accuracy)), span(of(({ seconds }) => seconds))],
    ];
  });
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function share(values: readonly number[]): string {
  if (values.length === 0) return "";
  if (values.length === 1) return percent(values[0]!);
  const squares = values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0);
  return `${percent(mean(values))} ± ${(100 * Math.sqrt(squares / (values.length - 1))).toFixed(1)}`;
}

const span = (values: readonly number[]) => (values.length === 0 ? "" : `${mean(values).toFixed(0)} s`);
