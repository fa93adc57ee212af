/** Reads a run's log.jsonl, and writes it as CSV. */
import type { Curves } from "../pictures/charts.ts";
import type { EpochRecord, Phases, StartRecord } from "./records.ts";
import type { Run } from "./runs.ts";

/** A line of the log within an epoch, every 50 steps; loss and error are averages over the epoch so far. */
interface StepRecord {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly top1: number;
  readonly imagesPerSecond: number;
  readonly dataWait: number;
}

export interface History {
  readonly epochs: readonly EpochRecord[];
  readonly steps: readonly StepRecord[];
}

/**
 * A run's log, in order; empty before the first line. A line cut short by a kill is left out.
 * @throws AlexNetError when the file can't be read
 */
export function readHistory(run: Run): History {
  const epochs: EpochRecord[] = [];
  const steps: StepRecord[] = [];
  for (const entry of lines(run.readLog())) {
    if (isEpoch(entry)) epochs.push(entry);
    else if (isStep(entry)) steps.push(entry);
  }
  return { epochs, steps };
}

/** The data for charts. Without `start`, which has the number of steps per epoch, there are no curves within epochs. */
export function curvesOf({ epochs, steps }: History, start: StartRecord | undefined): Curves {
  const stepsPerEpoch = start && Math.ceil((start.epochImages ?? start.train) / start.batch);
  return {
    epochs,
    steps: stepsPerEpoch ? steps.map((record) => ({ ...record, at: record.step / stepsPerEpoch })) : [],
    classes: start?.classes ?? Infinity,
  };
}

/** @returns undefined for a training that didn't begin with a new last layer */
export function phasesOf([first, ...others]: readonly EpochRecord[]): Phases | undefined {
  if (first?.epoch !== 0) return undefined;
  const lastLayer = first.val.top1;
  return others.length === 0 ? { lastLayer } : { lastLayer, whole: Math.min(...others.map(({ val }) => val.top1)) };
}

function* lines(text: string): Generator<unknown> {
  for (const line of text.split("\n")) {
    try {
      yield JSON.parse(line);
    } catch {
      // Cut short, or the empty line at the end.
    }
  }
}

function isEpoch(entry: unknown): entry is EpochRecord {
  const { epoch, step, train, val, rate, imagesPerSecond, dataWait, seconds } = (entry ?? {}) as Partial<EpochRecord>;
  const means = [train, val].flatMap((part) => [part?.loss, part?.top1, part?.top5]);
  return [epoch, step, rate, imagesPerSecond, dataWait, seconds, ...means].every(Number.isFinite);
}

function isStep(entry: unknown): entry is StepRecord {
  const { step, epoch, loss, top1, imagesPerSecond, dataWait } = (entry ?? {}) as Partial<StepRecord>;
  return [step, epoch, loss, top1, imagesPerSecond, dataWait].every(Number.isFinite);
}

const COLUMNS: readonly (readonly [string, (epoch: EpochRecord) => number, ((step: StepRecord) => number)?])[] = [
  ["epoch", ({ epoch }) => epoch, ({ epoch }) => epoch],
  ["step", ({ step }) => step, ({ step }) => step],
  ["train_loss", ({ train }) => train.loss, ({ loss }) => loss],
  ["train_top1", ({ train }) => train.top1, ({ top1 }) => top1],
  ["train_top5", ({ train }) => train.top5],
  ["val_loss", ({ val }) => val.loss],
  ["val_top1", ({ val }) => val.top1],
  ["val_top5", ({ val }) => val.top5],
  ["rate", ({ rate }) => rate],
  ["images_per_second", ({ imagesPerSecond }) => imagesPerSecond, ({ imagesPerSecond }) => imagesPerSecond],
  ["data_wait", ({ dataWait }) => dataWait, ({ dataWait }) => dataWait],
  ["seconds", ({ seconds }) => seconds],
];

/** A header, then a row per line of the log, in order of steps; lines within an epoch lack some columns. */
export function historyCsv({ epochs, steps }: History): string {
  const rows = [
    ...steps.map((record) => ({ at: record.step, cells: COLUMNS.map(([, , ofStep]) => ofStep?.(record) ?? "") })),
    ...epochs.map((record) => ({ at: record.step, cells: COLUMNS.map(([, ofEpoch]) => ofEpoch(record)) })),
  ];
  // The sort is stable: at the same step, the epoch's row comes after the step's.
  rows.sort((a, b) => a.at - b.at);
  return [COLUMNS.map(([name]) => name), ...rows.map(({ cells }) => cells)].map((row) => `${row.join(",")}\n`).join("");
}
