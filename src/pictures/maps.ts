/** The activations of a network's layers for one image, as a grid of feature maps per layer. */
import { ShapeError } from "../errors.ts";
import { FACT, HEAD, heading, INK, MARGIN } from "./heading.ts";
import { mosaic } from "./filters.ts";
import type { Raster } from "./pixels.ts";
import { fit, image } from "./raster.ts";
import { document, text, widthOf, type TextStyle } from "./svg.ts";

export interface LayerMaps {
  readonly name: string;
  readonly maps: number;
  readonly height: number;
  readonly width: number;
  /** Map by map, row by row. */
  readonly values: Float32Array;
}

interface MapsPicture {
  readonly title: string;
  /** A line below the title. */
  readonly fact: string;
  /** What the network sees. */
  readonly image: Raster;
  readonly layers: readonly LayerMaps[];
}

const GAP = 2;
const IMAGE = 224;
/** Maximum width of a grid. */
const WIDTH = 1200;
/** Maximum width of a map; half of it in layers of more than MANY maps. */
const CELL = 72;
const MANY = 128;
/** Of a layer with more maps, only this many are drawn: all of AlexNet's. */
const MOST = 384;
const HEADING: TextStyle = { size: 15, bold: true, colour: INK };

/** Draws the layers as SVG. @throws ShapeError when a layer's sizes and values don't match */
export async function drawMaps({ title, fact, image: seen, layers }: MapsPicture): Promise<string> {
  const width = 2 * MARGIN + WIDTH;
  const shown = await fit(seen, IMAGE, IMAGE);
  const parts = [...heading(title, fact, width), await image(MARGIN, HEAD, shown)];
  let y = HEAD + shown.height + 40;
  for (const layer of layers) {
    const grid = await gridOf(layer, layer.maps > MANY ? CELL / 2 : CELL);
    const silent = silentMaps(layer);
    const facts = [
      `${layer.maps} maps of ${layer.height} × ${layer.width}`,
      silent > 0 && `${silent} of them all zero`,
      layer.maps > MOST && `the first ${MOST} drawn`,
    ];
    parts.push(
      text(MARGIN, y, layer.name, HEADING),
      text(
        MARGIN + Math.ceil(widthOf(layer.name, HEADING)) + 14,
        y,
        facts.filter((fact) => fact !== false).join(", "),
        FACT,
      ),
      await image(MARGIN, y + 12, grid),
    );
    y += 12 + grid.height + 36;
  }
  return document(width, y, parts);
}

function silentMaps({ maps, height, width, values }: LayerMaps): number {
  const size = height * width;
  return Array.from({ length: maps }, (_, k) => values.subarray(k * size, (k + 1) * size)).filter((map) =>
    map.every((value) => value === 0),
  ).length;
}

/** All maps of a layer share a scale, so that they can be compared; it ends at the 99.9th percentile. */
async function gridOf({ maps, height, width, values }: LayerMaps, cell: number): Promise<Raster> {
  if (values.length !== maps * height * width) {
    throw new ShapeError(`${maps} maps of ${height} × ${width} with ${values.length} numbers`);
  }
  const magnitudes = values.map(Math.abs).sort();
  const most = magnitudes[Math.floor(0.999 * (magnitudes.length - 1))] || magnitudes.at(-1) || 1;
  const cells: Raster[] = [];
  const drawn = Math.min(maps, MOST);
  for (let k = 0; k < drawn; k++) {
    const pixels = new Uint8Array(3 * height * width);
    for (let i = 0; i < height * width; i++) {
      pixels.set(colourOf(values[k * height * width + i]! / most), 3 * i);
    }
    cells.push(await fit({ pixels, width, height }, cell, cell));
  }
  // As few rows as possible, all about equally long.
  const rows = Math.ceil(drawn / Math.floor((WIDTH + GAP) / (cells[0]!.width + GAP)));
  return mosaic(cells, Math.ceil(drawn / rows), GAP);
}

/** Zero is nearly black; positive values go through orange to white, negative ones through blue. */
const POSITIVE = [
  [16, 16, 24],
  [120, 28, 70],
  [226, 92, 38],
  [252, 190, 80],
  [255, 250, 225],
] as const;
const NEGATIVE = [
  [16, 16, 24],
  [34, 60, 140],
  [60, 130, 220],
  [150, 205, 245],
  [235, 248, 255],
] as const;

/** @param strength −1 … 1, clamped */
function colourOf(strength: number): number[] {
  const stops = strength >= 0 ? POSITIVE : NEGATIVE;
  const at = Math.min(1, Math.abs(strength)) * (stops.length - 1);
  const lower = Math.min(Math.floor(at), stops.length - 2);
  return stops[lower]!.map((value, c) => Math.round(value + (at - lower) * (stops[lower + 1]![c]! - value)));
}
