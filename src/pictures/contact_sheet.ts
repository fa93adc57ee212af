/**
 * A contact sheet: what a network will see of a data set, to check at a glance. One row per image, with the original and
 * its crops; below, statistics of the set. All coordinates are whole pixels, so that images are not resampled.
 */
import { count } from "../words.ts";
import type { Raster } from "./pixels.ts";
import { fit, image } from "./raster.ts";
import { document, rectangle, shorten, text, widthOf, wrap, type TextStyle } from "./svg.ts";

export interface SheetRow {
  readonly name: string;
  /** Lines below the name; long ones are shortened in the middle. */
  readonly details: readonly string[];
  readonly original: Raster;
  readonly centre: Raster;
  /** VERSIONS augmented crops. */
  readonly versions: readonly Raster[];
}

interface Sheet {
  readonly title: string;
  /** Lines below the title, followed by the warnings. */
  readonly facts: readonly string[];
  readonly warnings: readonly string[];
  readonly rows: readonly SheetRow[];
  readonly mean: Raster;
  /** Red, green and blue, 0 … 255. */
  readonly channelMean: readonly number[];
  /** The variances along the principal colour axes, and their directions. */
  readonly axes: { readonly values: readonly number[]; readonly vectors: readonly (readonly number[])[] };
  /** Which images the mean and the axes are computed over, and which ones are counted. */
  readonly measured: string;
  readonly looked: string;
  /** Largest first. */
  readonly classes: readonly { readonly name: string; readonly images: number }[];
  /** Name and value of each line. */
  readonly counts: readonly (readonly [string, string])[];
}

/** Augmented versions per row. */
export const VERSIONS = 5;
/** Maximum side of a crop, also the maximum height of an original, and maximum width of an original. */
export const CELL = 168;
export const ORIGINAL_WIDTH = 224;

const MARGIN = 40;
const NAME_WIDTH = 190;
const GAP = 24;
const SMALL_GAP = 8;
const ROW = CELL + 12;
/** Left edges of the columns. */
const ORIGINAL_X = MARGIN + NAME_WIDTH + 16;
const CENTRE_X = ORIGINAL_X + ORIGINAL_WIDTH + GAP;
const VERSIONS_X = CENTRE_X + CELL + GAP;
const STEP = CELL + SMALL_GAP;
export const WIDTH = VERSIONS_X + VERSIONS * STEP - SMALL_GAP + MARGIN;

const INK = "#1c1c1c";
const GREY = "#6e6e6e";
const RULE = "#e2e2e2";
const BAR = "#8aa6bf";
const TITLE: TextStyle = { size: 28, bold: true, colour: INK };
const FACT: TextStyle = { size: 15, colour: INK };
const WARNING: TextStyle = { size: 15, colour: "#a34a00" };
const HEADING: TextStyle = { size: 14, bold: true, colour: INK };
const NAME: TextStyle = { size: 15, bold: true, colour: INK };
const LABEL: TextStyle = { size: 12, colour: GREY };
const VALUE: TextStyle = { size: 12, colour: INK };

/** Draws the sheet as SVG, WIDTH pixels wide. */
export async function drawSheet(sheet: Sheet): Promise<{ svg: string; height: number }> {
  const parts: string[] = [];
  const full = WIDTH - 2 * MARGIN;
  let y = MARGIN + 24;
  parts.push(text(MARGIN, y, shorten(sheet.title, full, TITLE, "both"), TITLE));
  y += 6;
  const lines = [
    ...sheet.facts.flatMap((fact) => wrap(fact, full, 2, FACT).map((line) => [line, FACT] as const)),
    ...sheet.warnings.map((warning) => [shorten(warning, full, WARNING, "both"), WARNING] as const),
  ];
  for (const [line, style] of lines) parts.push(text(MARGIN, (y += 23), line, style));
  y += 44;
  parts.push(
    text(ORIGINAL_X, y, "original", LABEL),
    text(CENTRE_X, y, "centre, as evaluated", LABEL),
    text(VERSIONS_X, y, "augmented, as in five epochs of training", LABEL),
  );
  y += 10;
  for (const row of sheet.rows) {
    parts.push(...(await drawRow(row, y)));
    y += ROW;
  }
  y += 16;
  parts.push(rectangle(MARGIN, y, full, 1, RULE));
  y += 36;
  parts.push(...(await drawMean(sheet, y)), ...drawAxes(sheet, y), ...drawClasses(sheet, y), ...drawCounts(sheet, y));
  const height = y + PANEL + MARGIN;
  return { svg: document(WIDTH, height, parts), height };
}

async function drawRow({ name, details, original, centre, versions }: SheetRow, y: number): Promise<string[]> {
  const parts: string[] = [];
  let line = y - 5;
  for (const part of wrap(name, NAME_WIDTH, 3, NAME)) parts.push(text(MARGIN, (line += 20), part, NAME));
  line += 4;
  for (const detail of details) {
    parts.push(text(MARGIN, (line += 17), shorten(detail, NAME_WIDTH, LABEL, "both"), LABEL));
  }
  parts.push(await cell(original, ORIGINAL_X, y, ORIGINAL_WIDTH), await cell(centre, CENTRE_X, y));
  for (const [k, version] of versions.entries()) parts.push(await cell(version, VERSIONS_X + k * STEP, y));
  return parts;
}

/** An image scaled to fit its cell, aligned to the upper left corner. */
async function cell(raster: Raster, x: number, y: number, width = CELL): Promise<string> {
  return image(x, y, await fit(raster, width, CELL));
}

/** Height of a panel's heading, and of the whole panel. */
const HEAD = 40;
const PANEL = HEAD + CELL;

function head(x: number, y: number, heading: string, note: string): string[] {
  return [text(x, y, heading, HEADING), text(x, y + 19, note, LABEL)];
}

async function drawMean({ mean, measured }: Sheet, y: number): Promise<string[]> {
  return [...head(MARGIN, y, "Mean image", measured), await cell(mean, MARGIN, y + HEAD)];
}

const SWATCH = 48;

/** Each axis is a row of the colours along it, from −2 to +2 standard deviations from the mean. */
function drawAxes({ axes, channelMean }: Sheet, y: number): string[] {
  const parts = head(ORIGINAL_X, y, "Principal colour axes", "mean colour ± 2σ along each; share of the variance");
  const total = axes.values.reduce((sum, value) => sum + value, 0);
  axes.values.forEach((variance, k) => {
    const sigma = Math.sqrt(variance);
    const vector = axes.vectors[k]!;
    const top = y + HEAD + k * (SWATCH + 12);
    [-2, -1, 0, 1, 2].forEach((shift, i) => {
      const colour = channelMean.map((mean, c) =>
        Math.round(Math.min(255, Math.max(0, mean + shift * sigma * vector[c]!))),
      );
      parts.push(rectangle(ORIGINAL_X + i * SWATCH, top, SWATCH, SWATCH, `rgb(${colour.join(", ")})`));
    });
    const x = ORIGINAL_X + 5 * SWATCH + 12;
    const share = total > 0 ? ` (${Math.round((100 * variance) / total)}%)` : "";
    const direction = ["R", "G", "B"].map((name, c) => `${name} ${signed(vector[c]!)}`).join("  ");
    parts.push(text(x, top + 20, `σ ${sigma.toFixed(1)}${share}`, VALUE), text(x, top + 38, direction, LABEL));
  });
  return parts;
}

/** Two decimals, without −0.00. */
function signed(value: number): string {
  return (Math.round(value * 100) / 100 + 0).toFixed(2).replace("-", "−");
}

const LINES = 10;
const LINE = CELL / LINES;
const CLASS_NAME = 190;
const BAR_WIDTH = 220;

/** One bar per class; with many classes, the largest and the smallest. */
function drawClasses({ classes }: Sheet, y: number): string[] {
  const few = classes.length <= LINES;
  const [first, last] = [Math.ceil((LINES - 1) / 2), Math.floor((LINES - 1) / 2)];
  const shown = few ? classes : [...classes.slice(0, first), undefined, ...classes.slice(-last)];
  const left = classes.length - first - last;
  const parts = head(VERSIONS_X, y, "Classes", few ? "images of each" : "images of the largest and the smallest");
  const most = Math.max(1, classes[0]?.images ?? 0);
  const names = shown.map((entry) => entry && shorten(entry.name, CLASS_NAME, VALUE));
  const bars = VERSIONS_X + Math.ceil(Math.max(...names.map((name) => widthOf(name ?? "", VALUE)))) + 12;
  shown.forEach((entry, i) => {
    const top = y + HEAD + Math.round(i * LINE);
    if (!entry) {
      parts.push(text(VERSIONS_X, top + 12, `… ${count(left)} more`, LABEL));
      return;
    }
    const width = Math.max(1, Math.round((entry.images / most) * BAR_WIDTH));
    parts.push(
      text(VERSIONS_X, top + 12, names[i]!, VALUE),
      rectangle(bars, top + 2, width, 12, BAR),
      text(bars + width + 8, top + 12, count(entry.images), LABEL),
    );
  });
  return parts;
}

const COUNTS_X = VERSIONS_X + 3 * STEP;
const COUNT_NAME = 76;

function drawCounts({ counts, looked }: Sheet, y: number): string[] {
  const parts = head(COUNTS_X, y, "Images", looked);
  let line = y + HEAD - 5;
  for (const [name, value] of counts) {
    const lines = wrap(value, WIDTH - MARGIN - COUNTS_X - COUNT_NAME, 2, VALUE);
    parts.push(text(COUNTS_X, line + 17, name, LABEL));
    for (const part of lines) parts.push(text(COUNTS_X + COUNT_NAME, (line += 17), part, VALUE));
    line += 4;
  }
  return parts;
}
