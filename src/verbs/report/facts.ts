/** The report's numbers and settings: the tiles at its top, its tables, the epochs, the files. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { interval95 } from "../../inference/answers.ts";
import type { Network, Schedule } from "../../net/recipe.ts";
import { inWords } from "../../runs/augment_words.ts";
import { command } from "../../program.ts";
import { goOnCommand, trainCommand } from "../../runs/command.ts";
import { readDuplicates } from "../../runs/findings.ts";
import { phasesOf, type History } from "../../runs/history.ts";
import type { EpochRecord, StartRecord } from "../../runs/records.ts";
import type { Run } from "../../runs/runs.ts";
import type { TrainConfig } from "../../runs/settings.ts";
import type { Calibration } from "../../weights/calibration.ts";
import { count, duration, percent, plural } from "../../words.ts";

/** @param images number of validation images, if it is known */
export function tilesOf({ epochs }: History, config: TrainConfig, start: StartRecord | undefined, images?: number) {
  const last = epochs.at(-1);
  if (!last) return [];
  const best = epochs.reduce((least, epoch) => (epoch.val.top1 < least.val.top1 ? epoch : least));
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const passed = epochs.reduce((sum, epoch) => sum + epoch.seconds * epoch.imagesPerSecond, 0);
  const nameOf = ({ epoch }: EpochRecord) => (epoch === 0 ? "the last layer alone" : `epoch ${epoch}`);
  const tile = (name: string, value: string, note: string) => ({ name, value, note });
  const accuracy = (error: number) => percent(1 - error);
  const phases = phasesOf(epochs);
  const gained = phases?.whole === undefined ? 0 : phases.lastLayer - phases.whole;
  return [
    tile("Accuracy", accuracy(best.val.top1), images ? intervalInWords(best.val.top1, images) : nameOf(best)),
    ...((start?.classes ?? 0) > 5 ? [tile("Among the top 5", accuracy(best.val.top5), `of ${nameOf(best)}`)] : []),
    ...(phases?.whole === undefined
      ? []
      : [
          tile("The last layer alone", accuracy(phases.lastLayer), "before the whole network was trained"),
          tile(
            "The whole network",
            accuracy(phases.whole),
            gained > 0 ? `+${(100 * gained).toFixed(1)} points, best in ${nameOf(best)}` : "no more, so it was undone",
          ),
        ]),
    tile("On training images", accuracy(last.train.top1), `in ${nameOf(last)}, as it learnt from them`),
    tile("Epochs", `${last.epoch} of ${config.epochs}`, `${duration(seconds)} of training`),
    tile(
      "Images a second",
      count(Math.round(passed / seconds)),
      `${percent(waiting(epochs))} of the time waiting for data`,
    ),
  ];
}

function intervalInWords(error: number, images: number): string {
  const [low, high] = interval95(Math.round(error * images), images);
  return `of ${plural(images, "validation image")}; 95% interval: ${percent(1 - high)} to ${percent(1 - low)}`;
}

function waiting(epochs: readonly EpochRecord[]): number {
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  return epochs.reduce((sum, epoch) => sum + epoch.dataWait * epoch.seconds, 0) / seconds;
}

/** What to type to get this run again, to go on with it, and to use it. */
export function commandsOf(
  run: Run,
  config: TrainConfig,
  start: StartRecord | undefined,
  epochsDone: number,
): (readonly [string, string])[] {
  const again = trainCommand(config, start);
  const hasBest = existsSync(run.best);
  const isDone = epochsDone >= config.epochs;
  const goOn = [
    isDone ? "Train on, in a new run from its weights" : "Train the rest of its epochs",
    goOnCommand(config, run.path, epochsDone),
  ] as const;
  return [
    ...(again === undefined ? [] : [["Train it again: on the same device to the same weights", again] as const]),
    ...(isDone && !hasBest ? [] : [goOn]),
    ...(hasBest ? [["Classify photos", command("predict --model", run.path, "PHOTO")] as const] : []),
  ];
}

export function tablesOf(
  config: TrainConfig,
  network: Network,
  start: StartRecord | undefined,
  calibration: Calibration | undefined,
) {
  const { data, val, epochs, batch, schedule, momentum, decay, augmentation, seed } = config;
  const training: (readonly [string, string])[] = [
    ["epochs", count(epochs)],
    ["batch size", count(start?.batch ?? batch)],
    ["learning rate", scheduleInWords(schedule)],
    ["momentum", String(momentum)],
    ["weight decay", String(decay)],
    ["augmentation", inWords(augmentation, network)],
    ["seed", String(seed)],
  ];
  const rest: (readonly [string, string])[] = [
    ["network", `${network.name}: ${network.about}`],
    ["images", data ?? "the built-in set"],
    ...(val === null ? [] : [["validation", val] as const]),
  ];
  if (start) {
    rest.push(
      ["parameters", count(start.parameters)],
      ["classes", count(start.classes)],
      ["training set", plural(start.train, "image")],
      ["validation set", plural(start.val, "image")],
      ["device", start.device],
    );
  }
  if (calibration) {
    const { temperature, before, after, images } = calibration;
    const errors = `${percent(before)}, with the temperature ${temperature.toFixed(2)} ${percent(after)}`;
    rest.push(["calibration error", `${errors}; of ${plural(images, "validation image")}`]);
  }
  return [
    { name: "Training", rows: training },
    { name: "Model and data", rows: rest },
  ];
}

/** More pairs than this are only counted. */
const MAX_PAIRS = 20;

export function duplicatesOf(run: Run) {
  const found = readDuplicates(run);
  if (!found) return [];
  const { images, pairs } = found;
  const left = pairs.length - MAX_PAIRS;
  const rest = left > 0 ? [["…", `and ${count(left)} more, in duplicates.json`] as const] : [];
  const name = `${count(pairs.length)} of ${plural(images, "validation image")} ${pairs.length === 1 ? "is" : "are"} like a training image`;
  return [{ name, rows: [...pairs.slice(0, MAX_PAIRS), ...rest] }];
}

function scheduleInWords(schedule: Schedule): string {
  switch (schedule.kind) {
    case "constant":
      return `${schedule.rate}`;
    case "cosine":
      return `${schedule.rate}, cosine decay to 0`;
    case "triangular":
      return `${schedule.rate} at ${percent(schedule.peak)} of the run, from ${percent(schedule.start)} of it and to ${percent(schedule.end)}`;
    case "plateau":
      return `${schedule.rate}, divided by 10 after ${schedule.patience} epochs without improvement, ${schedule.drops} times`;
    case "phases":
      return schedule.phases
        .map(({ from, rate }) => `${Number(rate.toPrecision(3))} from epoch ${from + 1}`)
        .join(", ");
  }
}

export const EPOCH_COLUMNS: readonly (readonly [string, (record: EpochRecord) => string])[] = [
  ["epoch", ({ epoch }) => String(epoch)],
  ["training loss", ({ train }) => train.loss.toFixed(4)],
  ["error", ({ train }) => percent(train.top1)],
  ["validation loss", ({ val }) => val.loss.toFixed(4)],
  ["error", ({ val }) => percent(val.top1)],
  ["top 5", ({ val }) => percent(val.top5)],
  ["learning rate", ({ rate }) => String(Number(rate.toPrecision(4)))],
  ["images a second", ({ imagesPerSecond }) => count(Math.round(imagesPerSecond))],
  ["waiting for data", ({ dataWait }) => percent(dataWait)],
  ["time", ({ seconds }) => duration(seconds)],
];

export const epochRow = (record: EpochRecord) => EPOCH_COLUMNS.map(([, cell]) => cell(record));

const FILES: readonly (readonly [string, string])[] = [
  ["best.safetensors", "weights of the epoch with the lowest validation error"],
  ["last.safetensors", "everything needed to resume"],
  ["last.previous.safetensors", "the save before it, used if the last is damaged"],
  ["config.json", "every setting that affects the result"],
  ["start.json", "the device and the data at the start"],
  ["log.jsonl", "a line for each epoch and every 50 steps"],
  ["confusion.json", "the confusion matrix of the best epoch, and examples of its answers"],
  ["duplicates.json", "validation images that are near-duplicates of training images"],
  ["label-issues.json", "images whose label the model contradicts most"],
  ["log.csv", "the log as a table"],
];

export function filesOf(run: Run) {
  return FILES.flatMap(([name, about]) => {
    const stat = statSync(join(run.path, name), { throwIfNoEntry: false });
    return stat ? [{ name, about: `${about}, ${sizeInWords(stat.size)}` }] : [];
  });
}

function sizeInWords(bytes: number): string {
  if (bytes < 2 ** 20) return `${count(Math.ceil(bytes / 1024))} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
