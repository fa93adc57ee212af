/** Images with bars of their most probable classes, the correct one highlighted: the paper's Fig. 4, left. */
import type { Raster } from "./pixels.ts";
import { fit, image } from "./raster.ts";
import { document, rectangle, shorten, text, wrap, type TextStyle } from "./svg.ts";

export interface AnsweredImage {
  /** Undefined if it can't be drawn: a placeholder is shown. */
  readonly image: Raster | undefined;
  /** The file. */
  readonly name: string;
  /** The correct class, where known. */
  readonly right?: string;
  /** Most probable class first. */
  readonly bars: readonly { readonly name: string; readonly probability: number; readonly isRight: boolean }[];
}

interface AnswersPicture {
  readonly title: string;
  readonly facts: readonly string[];
  readonly cells: readonly AnsweredImage[];
}

const MARGIN = 32;
const GAP = 24;
const WIDTH = 208;
const IMAGE = 160;
const BAR = 20;
/** Leaves room for percentages beside the bars. */
const BAR_WIDTH = WIDTH - 50;
const MAX_COLUMNS = 8;

const INK = "#1c1c1c";
const GREY = "#6e6e6e";
const PLACE = "#ececec";
const RIGHT = "#e8a29a";
const OTHER = "#a9c1d9";
const TITLE: TextStyle = { size: 22, bold: true, colour: INK };
const FACT: TextStyle = { size: 14, colour: INK };
const CAPTION: TextStyle = { size: 13, bold: true, colour: INK };
const FILE: TextStyle = { size: 11, colour: GREY };
const LABEL: TextStyle = { size: 12, colour: INK };

/** Draws the images as SVG, in the order given, row by row. */
export async function drawAnswers({ title, facts, cells }: AnswersPicture): Promise<string> {
  const columns = Math.min(MAX_COLUMNS, Math.max(3, Math.ceil(Math.sqrt(cells.length))));
  const width = 2 * MARGIN + columns * (WIDTH + GAP) - GAP;
  const parts = [text(MARGIN, MARGIN + 18, shorten(title, width - 2 * MARGIN, TITLE, "both"), TITLE)];
  let y = MARGIN + 18;
  for (const fact of facts.flatMap((line) => wrap(line, width - 2 * MARGIN, 2, FACT))) {
    parts.push(text(MARGIN, (y += 22), fact, FACT));
  }
  y += 22;
  for (let first = 0; first < cells.length; first += columns) {
    const row = cells.slice(first, first + columns);
    for (const [k, cell] of row.entries()) parts.push(...(await drawCell(cell, MARGIN + k * (WIDTH + GAP), y)));
    y += IMAGE + 44 + Math.max(...row.map(({ bars }) => bars.length)) * BAR + GAP;
  }
  return document(width, y - GAP + MARGIN, parts);
}

async function drawCell({ image: raster, name, right, bars }: AnsweredImage, x: number, y: number): Promise<string[]> {
  const file = name.split(/[\\/]/).at(-1)!;
  const [caption, below] = right === undefined ? [file, ""] : [right, file];
  const parts = [
    await drawFitted(raster, x, y, WIDTH, IMAGE),
    text(x, y + IMAGE + 18, shorten(caption, WIDTH, CAPTION, right === undefined ? "both" : "start"), CAPTION),
    text(x, y + IMAGE + 34, shorten(below, WIDTH, FILE, "both"), FILE),
  ];
  bars.forEach(({ name: label, probability, isRight }, k) => {
    const top = y + IMAGE + 44 + k * BAR;
    const share = percent(probability);
    // Even the smallest probability is visible as a line.
    parts.push(
      rectangle(x, top, Math.max(1, Math.round(probability * BAR_WIDTH)), BAR - 3, isRight ? RIGHT : OTHER),
      text(x + 4, top + 13, shorten(label, BAR_WIDTH - 4, LABEL), LABEL),
      text(x + WIDTH, top + 13, share, { ...LABEL, colour: GREY, anchor: "end" }),
    );
  });
  return parts;
}

/** An image scaled to fit its box, left-aligned; a grey box if there is none. */
export async function drawFitted(
  raster: Raster | undefined,
  x: number,
  y: number,
  width: number,
  height: number,
): Promise<string> {
  if (!raster) return rectangle(x, y, width, height, PLACE);
  const fitted = await fit(raster, width, height);
  return image(x, y + Math.floor((height - fitted.height) / 2), fitted);
}

function percent(share: number): string {
  return share > 0 && share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`;
}
