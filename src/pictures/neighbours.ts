/** Query images with their nearest neighbours: the paper's Fig. 4, right. */
import { drawFitted } from "./answers.ts";
import type { Raster } from "./pixels.ts";
import { document, rectangle, shorten, text, wrap, type TextStyle } from "./svg.ts";

export interface Neighbourhood {
  readonly image: Raster | undefined;
  readonly name: string;
  readonly neighbours: readonly {
    readonly image: Raster | undefined;
    readonly name: string;
    /** Its class. */
    readonly label: string;
    readonly distance: number;
  }[];
}

const MARGIN = 32;
const WIDTH = 168;
const HEIGHT = 160;
const GAP = 16;
/** Space around the query. */
const APART = 24;
const ROW = HEIGHT + 60;

const INK = "#1c1c1c";
const GREY = "#6e6e6e";
const TITLE: TextStyle = { size: 22, bold: true, colour: INK };
const FACT: TextStyle = { size: 14, colour: INK };
const LABEL: TextStyle = { size: 12, bold: true, colour: INK };
const FILE: TextStyle = { size: 11, colour: GREY };

/** Draws one row per query as SVG, nearest neighbour first. */
export async function drawNeighbours(title: string, fact: string, rows: readonly Neighbourhood[]): Promise<string> {
  const most = Math.max(2, ...rows.map(({ neighbours }) => neighbours.length));
  const first = MARGIN + WIDTH + 2 * APART;
  const width = first + most * (WIDTH + GAP) - GAP + MARGIN;
  const parts = [text(MARGIN, MARGIN + 18, shorten(title, width - 2 * MARGIN, TITLE, "both"), TITLE)];
  let y = MARGIN + 18;
  for (const line of wrap(fact, width - 2 * MARGIN, 2, FACT)) parts.push(text(MARGIN, (y += 22), line, FACT));
  const top = (y += 24);
  for (const { image, name, neighbours } of rows) {
    parts.push(...(await drawOne(image, MARGIN, y, [shorten(fileOf(name), WIDTH, LABEL, "both"), ""])));
    for (const [k, each] of neighbours.entries()) {
      const words = [shorten(each.label, WIDTH, LABEL), `${shorten(fileOf(each.name), WIDTH, FILE, "both")}`] as const;
      const x = first + k * (WIDTH + GAP);
      parts.push(...(await drawOne(each.image, x, y, words)));
      parts.push(text(x, y + HEIGHT + 48, `distance ${each.distance.toPrecision(4)}`, FILE));
    }
    y += ROW;
  }
  parts.push(rectangle(MARGIN + WIDTH + APART, top, 1, y - top, "#d8d8d8"));
  return document(width, y + MARGIN, parts);
}

async function drawOne(
  image: Raster | undefined,
  x: number,
  y: number,
  [label, file]: readonly [string, string],
): Promise<string[]> {
  return [
    await drawFitted(image, x, y, WIDTH, HEIGHT),
    text(x, y + HEIGHT + 18, label, LABEL),
    text(x, y + HEIGHT + 33, file, FILE),
  ];
}

const fileOf = (name: string) => name.split(/[\\/]/).at(-1)!;
