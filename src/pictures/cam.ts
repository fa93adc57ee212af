/** Class activation maps over what the network sees: a large one, and smaller ones of other classes beside it. */
import { percent } from "../words.ts";
import { FACT, HEAD, heading, INK, MARGIN } from "./heading.ts";
import { overlay } from "./heat.ts";
import { enlarge, type Raster } from "./pixels.ts";
import { image } from "./raster.ts";
import { document, shorten, text, type TextStyle } from "./svg.ts";

interface ClassMap {
  readonly name: string;
  readonly probability: number;
  /** Side × side, row by row, at least 0. */
  readonly map: Float32Array;
}

interface CamPicture {
  readonly title: string;
  /** A line below the title. */
  readonly fact: string;
  /** What the network sees. */
  readonly image: Raster;
  /** Positions along each side of a map. */
  readonly side: number;
  readonly maps: readonly [first: ClassMap, ...others: ClassMap[]];
}

const SIDE = 448;
const GAP = 24;
const CAPTION_HEIGHT = 40;
const CAPTION: TextStyle = { size: 13, bold: true, colour: INK };
/** Room for a percentage. */
const SHARE = 56;

/** Draws the maps as SVG. @throws ShapeError when a map has not side × side numbers */
export async function drawCam({ title, fact, image: seen, side, maps }: CamPicture): Promise<string> {
  const factor = Math.max(1, Math.round(SIDE / seen.width));
  const large = enlarge(seen, factor);
  const small = enlarge(seen, Math.max(1, Math.floor(factor / 2)));
  const [first, ...others] = maps;
  const [left, right] = [MARGIN + large.width + GAP, MARGIN + 2 * (large.width + GAP)];
  const width = others.length > 0 ? right + small.width + MARGIN : right - GAP + MARGIN;
  const parts = [
    ...heading(title, fact, width),
    await image(MARGIN, HEAD, large),
    text(MARGIN, HEAD + large.height + 20, "what the network sees", FACT),
    ...(await drawMap(large, first, side, left, HEAD)),
  ];
  const step = small.height + CAPTION_HEIGHT;
  for (const [i, each] of others.entries()) parts.push(...(await drawMap(small, each, side, right, HEAD + i * step)));
  const height = HEAD + Math.max(large.height + CAPTION_HEIGHT, others.length * step);
  return document(width, height, parts);
}

async function drawMap(
  seen: Raster,
  { name, probability, map }: ClassMap,
  side: number,
  x: number,
  y: number,
): Promise<string[]> {
  const below = y + seen.height + 20;
  return [
    await image(x, y, overlay(seen, map, side)),
    text(x, below, shorten(name, seen.width - SHARE, CAPTION), CAPTION),
    text(x + seen.width, below, percent(probability), { ...FACT, anchor: "end" }),
  ];
}
