/** The report of a run: a page with scores, answers, curves, filters, settings and files. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AlexNetError } from "../../errors.ts";
import { interval95 } from "../../inference/answers.ts";
import { replaceFile } from "../../io/files.ts";
import { firstConvolution, place } from "../../net/model.ts";
import type { Network } from "../../net/recipe.ts";
import { given } from "../../options.ts";
import { chartsOf, chartSvg, LIGHT } from "../../pictures/charts.ts";
import { filterCells } from "../../pictures/filters.ts";
import { dataUrl } from "../../pictures/raster.ts";
import { reliabilitySvg } from "../../pictures/reliability.ts";
import { reportPage, type PageDrawing, type PageFilters } from "../../pictures/report_page.ts";
import { working, type Context } from "../../ranks/context.ts";
import { curvesOf, historyCsv, readHistory } from "../../runs/history.ts";
import { findRun, type Run } from "../../runs/runs.ts";
import { networkOf } from "../../runs/settings.ts";
import { flag, text, type OptionsOf } from "../../schema.ts";
import type { Bin, Calibration } from "../../weights/calibration.ts";
import { openCheckpoint } from "../../weights/checkpoint.ts";
import { openSafetensors } from "../../weights/safetensors.ts";
import { percent, plural } from "../../words.ts";
import { imagesOfRun, type ReportImages } from "./answers.ts";
import { pageClasses } from "./classes.ts";
import { commandsOf, duplicatesOf, EPOCH_COLUMNS, epochRow, filesOf, tablesOf, tilesOf } from "./facts.ts";

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
  const files = [await writeReport(run, await imagesOfRun(run))];
  if (csv) {
    const file = join(run.path, "log.csv");
    await replaceFile(file, (append) => append(new TextEncoder().encode(historyCsv(readHistory(run)))));
    files.push(file);
  }
  return files;
}

/**
 * Writes report.html, from the files in the run's folder.
 * @param images images with the model's answers, if they are to be shown
 * @returns its path
 * @throws AlexNetError when a file of the run is damaged or can't be written
 */
export async function writeReport(run: Run, images: ReportImages = {}): Promise<string> {
  const [config, start, history] = [run.readConfig(), run.readStart(), readHistory(run)];
  const [network, confusion, calibration] = [networkOf(config), run.readConfusion(), calibrationOf(run)];
  const charts = chartsOf(curvesOf(history, start), LIGHT).map(async (chart, i) => ({
    name: chart.name,
    svg: await chartSvg(chart, CHART.width, CHART.height, `chart${i}`),
  }));
  const validated = confusion?.entries.reduce((sum, [, , images]) => sum + images, 0);
  const page = reportPage({
    title: run.name,
    subtitle: [config.network, config.data ?? "the built-in set", start?.device].filter(Boolean).join(" · "),
    tiles: tilesOf(history, config, start, validated),
    ...given({
      classes: confusion && (await pageClasses(confusion)),
      reliability: calibration && reliabilityOf(calibration),
      filters: await filtersOf(run, network),
    }),
    ...images,
    commands: commandsOf(run, config, start, history.epochs.at(-1)?.epoch ?? 0),
    charts: history.epochs.length + history.steps.length > 0 ? await Promise.all(charts) : [],
    tables: [...duplicatesOf(run), ...tablesOf(config, network, start, calibration)],
    epochs: { names: EPOCH_COLUMNS.map(([name]) => name), rows: history.epochs.map(epochRow) },
    files: filesOf(run),
  });
  await replaceFile(run.reportFile, (append) => append(new TextEncoder().encode(page)));
  return run.reportFile;
}

const CHART = { width: 540, height: 260 };

/** Approximate width of a filter on the page. */
const FILTER_PIXELS = 44;

/** The filters of the first layer, if it is a convolution of the image and a checkpoint exists. */
async function filtersOf(run: Run, network: Network): Promise<PageFilters | undefined> {
  const [path, of] = existsSync(run.best) ? [run.best, "the best epoch"] : [run.last, "the last save"];
  const first = firstConvolution(place(network));
  if (!existsSync(path) || !first) return undefined;
  using file = openSafetensors(path);
  const weights = file.tensors.get(`${first.layer.name}.weight`);
  if (!weights) throw new AlexNetError(`${path}: ${first.layer.name}.weight is missing`);
  const cells = filterCells(weights.read(), weights.shape);
  const [filters, , height, width] = weights.shape as [number, number, number, number];
  return {
    name: `Filters of ${first.layer.name}`,
    note: `${filters} filters of ${height} × ${width}, of ${of}; grey is 0, each is scaled by its largest weight`,
    sources: await Promise.all(cells.map(dataUrl)),
    side: width * Math.max(1, Math.round(FILTER_PIXELS / width)),
  };
}

/** Of a finished training with enough validation images. */
function calibrationOf({ best }: Run): Calibration | undefined {
  if (!existsSync(best)) return undefined;
  using checkpoint = openCheckpoint(best);
  return checkpoint.calibration;
}

/** Diagrams of the probabilities before and after; of earlier versions' calibrations there are none. */
function reliabilityOf({ temperature, images, before, after, bins }: Calibration) {
  if (!bins) return undefined;
  const diagram = (name: string, error: number, bins: readonly Bin[]): PageDrawing => ({
    name: `${name}: calibration error ${percent(error)}`,
    svg: reliabilitySvg(
      bins.map(({ images, right, confidence }) => {
        const [low, high] = interval95(images - right, images);
        return { images, right: right / images, interval: [1 - high, 1 - low] as const, confidence };
      }),
    ),
  });
  return {
    note:
      `Of ${plural(images, "validation image")}, by the probability of the answer: blue, the share that is right, with ` +
      `its 95% interval; orange, the mean probability, which should be the same; below, how many images.`,
    diagrams: [
      diagram("As trained", before, bins.before),
      diagram(`With temperature ${temperature.toFixed(2)}`, after, bins.after),
    ],
  };
}
