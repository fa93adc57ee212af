/** The report of a run: a page with curves, filters, answers, settings and files. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { formatOf } from "../../data/header.ts";
import { AlexNetError } from "../../errors.ts";
import { replaceFile, readPlainFile } from "../../io/files.ts";
import { firstConvolution, place } from "../../net/model.ts";
import type { Network, Schedule } from "../../net/recipe.ts";
import { given } from "../../options.ts";
import { chartsOf, chartSvg, LIGHT } from "../../pictures/charts.ts";
import { drawConfusion } from "../../pictures/confusion.ts";
import { filterGrid } from "../../pictures/filters.ts";
import { dataUrl } from "../../pictures/raster.ts";
import { reportPage, type PageAnswers, type PagePicture } from "../../pictures/report_page.ts";
import { working, type Context } from "../../ranks/context.ts";
import { inWords } from "../../runs/augment_words.ts";
import { labelPictureOf, readDuplicates } from "../../runs/findings.ts";
import { curvesOf, historyCsv, readHistory, type History } from "../../runs/history.ts";
import type { EpochRecord, StartRecord } from "../../runs/records.ts";
import { findRun, type Run } from "../../runs/runs.ts";
import { networkOf, type TrainConfig } from "../../runs/settings.ts";
import { flag, text, type OptionsOf } from "../../schema.ts";
import type { Calibration } from "../../weights/calibration.ts";
import { openCheckpoint } from "../../weights/checkpoint.ts";
import { openSafetensors } from "../../weights/safetensors.ts";
import { count, duration, percent, plural } from "../../words.ts";
import { answersOfRun } from "./answers.ts";

export const REPORT_OPTIONS = {
  /** A path, a name in runs/, or "latest", the default. */
  run: text("The folder of a run (the newest)", { place: "word" }),
  /** Whether to write log.csv too. */
  csv: flag("Also write the log as a table, log.csv"),
};

export interface ReportOptions extends OptionsOf<typeof REPORT_OPTIONS> {}

/**
 * Draws the report of a run again.
 * @returns the absolute paths of the files written
 * @throws UsageError when there is no such run, CheckpointError when its files are damaged
 */
export async function report(call: ReportOptions & Context = {}): Promise<string[]> {
  const { options } = working("report", call, REPORT_OPTIONS);
  const { run: name = "latest", csv = false } = options;
  const run = findRun(name);
  const files = [await writeReport(run, await answersOfRun(run))];
  if (csv) {
    const file = join(run.path, "log.csv");
    await replaceFile(file, (append) => append(new TextEncoder().encode(historyCsv(readHistory(run)))));
    files.push(file);
  }
  return files;
}

/**
 * Writes report.html, from the files in the run's folder.
 * @param answers images with the model's answers, if they are to be shown
 * @returns its path
 * @throws AlexNetError when a file of the run is damaged or can't be written
 */
export async function writeReport(run: Run, answers?: PageAnswers): Promise<string> {
  const [config, start, history] = [run.readConfig(), run.readStart(), readHistory(run)];
  const network = networkOf(config);
  const charts = chartsOf(curvesOf(history, start), LIGHT).map(async (chart, i) => ({
    name: chart.name,
    svg: await chartSvg(chart, CHART.width, CHART.height, `chart${i}`),
  }));
  const page = reportPage({
    title: run.name,
    subtitle: [config.network, config.data ?? "the built-in set", start?.device].filter(Boolean).join(" · "),
    tiles: tilesOf(history, config, start),
    charts: history.epochs.length + history.steps.length > 0 ? await Promise.all(charts) : [],
    pictures: [
      ...(await filtersOf(run, network)),
      ...(await confusionOf(run)),
      ...labelIssuesOf(run),
      ...mistakesOf(run),
    ],
    ...given({ answers }),
    tables: [...tablesOf(config, network, start, calibrationOf(run)), ...duplicatesOf(run)],
    epochs: { names: EPOCH_COLUMNS.map(([name]) => name), rows: history.epochs.map(epochRow) },
    files: filesOf(run),
  });
  await replaceFile(run.reportFile, (append) => append(new TextEncoder().encode(page)));
  return run.reportFile;
}

const CHART = { width: 540, height: 260 };

function tilesOf({ epochs }: History, config: TrainConfig, start: StartRecord | undefined) {
  const last = epochs.at(-1);
  if (!last) return [];
  const best = epochs.reduce((least, epoch) => (epoch.val.top1 < least.val.top1 ? epoch : least));
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const images = epochs.reduce((sum, epoch) => sum + epoch.seconds * epoch.imagesPerSecond, 0);
  const tile = (name: string, value: string, note: string) => ({ name, value, note });
  return [
    tile("Validation error", percent(best.val.top1), `best, in epoch ${best.epoch}`),
    ...((start?.classes ?? 0) > 5 ? [tile("Top-5 error", percent(best.val.top5), `in epoch ${best.epoch}`)] : []),
    tile("Training error", percent(last.train.top1), `in epoch ${last.epoch}`),
    tile("Epochs", `${last.epoch} of ${config.epochs}`, `${duration(seconds)} of training`),
    tile(
      "Images a second",
      count(Math.round(images / seconds)),
      `${percent(waiting(epochs))} of the time waiting for data`,
    ),
  ];
}

function waiting(epochs: readonly EpochRecord[]): number {
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  return epochs.reduce((sum, epoch) => sum + epoch.dataWait * epoch.seconds, 0) / seconds;
}

/** Approximate width of a filter on the page. */
const FILTER_PIXELS = 44;

/** The filters of the first layer, if it is a convolution of the image and a checkpoint exists. */
async function filtersOf(run: Run, network: Network): Promise<PagePicture[]> {
  const [path, of] = existsSync(run.best) ? [run.best, "the best epoch"] : [run.last, "the last save"];
  const first = firstConvolution(place(network));
  if (!existsSync(path) || !first) return [];
  using file = openSafetensors(path);
  const weights = file.tensors.get(`${first.layer.name}.weight`);
  if (!weights) throw new AlexNetError(`${path}: ${first.layer.name}.weight is missing`);
  const raster = filterGrid(weights.read(), weights.shape);
  const [filters, , height, width] = weights.shape as [number, number, number, number];
  return [
    {
      name: `Filters of ${first.layer.name}`,
      note: `${filters} filters of ${height} × ${width}, of ${of}; grey is 0, each is scaled by its largest weight`,
      source: await dataUrl(raster),
      width: raster.width * Math.max(1, Math.round(FILTER_PIXELS / width)),
      pixels: true,
    },
  ];
}

async function confusionOf(run: Run): Promise<PagePicture[]> {
  const confusion = run.readConfusion();
  if (!confusion) return [];
  const { epoch, classes, entries } = confusion;
  const svg = await drawConfusion({ title: `Validation of epoch ${epoch}`, classes, entries });
  const source = `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
  const width = Number(/ width="(\d+)"/.exec(svg)?.[1]);
  return [{ name: "Confusion matrix", note: "of the best epoch", source, width, pixels: false }];
}

/** Larger pictures would make the page slow. */
const MAX_PICTURE_BYTES = 8 * 2 ** 20;

/** The mistakes that `evaluate --out` drew, if it did so into the run's folder. */
function mistakesOf(run: Run): PagePicture[] {
  return pictureOf(join(run.path, "mistakes.png"), "The worst mistakes", "of the last evaluation");
}

/** The images whose label the model contradicted most. */
function labelIssuesOf(run: Run): PagePicture[] {
  const note = "red: the label; blue: what the model says instead; the files' names are in label-issues.json";
  return pictureOf(labelPictureOf(run), "Likely wrong labels", note);
}

/** A PNG of the run's folder, if it is there. */
function pictureOf(path: string, name: string, note: string): PagePicture[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? Infinity;
  if (size > MAX_PICTURE_BYTES) return [];
  const bytes = readPlainFile(path, MAX_PICTURE_BYTES);
  if (formatOf(bytes) !== "PNG") return [];
  const source = `data:image/png;base64,${bytes.toString("base64")}`;
  return [{ name, note, source, width: 1140, pixels: false }];
}

/** Of a finished training with enough validation images. */
function calibrationOf({ best }: Run): Calibration | undefined {
  if (!existsSync(best)) return undefined;
  using checkpoint = openCheckpoint(best);
  return checkpoint.calibration;
}

function tablesOf(
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

function duplicatesOf(run: Run) {
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

const EPOCH_COLUMNS: readonly (readonly [string, (record: EpochRecord) => string])[] = [
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

const epochRow = (record: EpochRecord) => EPOCH_COLUMNS.map(([, cell]) => cell(record));

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

function filesOf(run: Run) {
  return FILES.flatMap(([name, about]) => {
    const stat = statSync(join(run.path, name), { throwIfNoEntry: false });
    return stat ? [{ name, about: `${about}, ${sizeInWords(stat.size)}` }] : [];
  });
}

function sizeInWords(bytes: number): string {
  if (bytes < 2 ** 20) return `${count(Math.ceil(bytes / 1024))} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
