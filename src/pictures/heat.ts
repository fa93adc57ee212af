/** An occlusion map: how covering each position changes the prediction, drawn over the image in grey. */
import { ShapeError } from "../errors.ts";
import { NEGATIVE, POSITIVE, shareOf } from "./heat_scale.ts";
import { FACT, HEAD, heading, INK, MARGIN } from "./heading.ts";
import { enlarge, type Raster } from "./pixels.ts";
import { image } from "./raster.ts";
import { document, rectangle, text } from "./svg.ts";

interface HeatPicture {
  readonly title: string;
  /** A line below the title. */
  readonly fact: string;
  /** What the network sees. */
  readonly image: Raster;
  /** Drop in probability with the square at each position, row by row; negative where it rose. */
  readonly losses: Float32Array;
  /** Positions along each side. */
  readonly side: number;
  /** Side of the square, in pixels of the image. */
  readonly square: number;
}

const SIDE = 448;
const GAP = 24;
const FOOT = 78;

/** Draws the map as SVG. @throws ShapeError when `losses` has not side × side numbers */
export async function drawHeat({ title, fact, image: seen, losses, side, square }: HeatPicture): Promise<string> {
  const factor = Math.max(1, Math.round(SIDE / seen.width));
  const large = enlarge(seen, factor);
  const width = 2 * MARGIN + 2 * large.width + GAP;
  const height = HEAD + large.height + FOOT;
  const right = MARGIN + large.width + GAP;
  const mark = square * factor;
  return document(width, height, [
    ...heading(title, fact, width),
    await image(MARGIN, HEAD, large),
    await image(right, HEAD, overlay(large, losses, side)),
    `<rect x="${MARGIN + 8.5}" y="${HEAD + 8.5}" width="${mark}" height="${mark}" fill="none" stroke="#ffffff" stroke-width="3"/>`,
    `<rect x="${MARGIN + 8.5}" y="${HEAD + 8.5}" width="${mark}" height="${mark}" fill="none" stroke="${INK}"/>`,
    text(MARGIN, HEAD + large.height + 22, "what the network sees, and the size of the square", FACT),
    ...legend(right, HEAD + large.height + 12, large.width, largest(losses)),
  ]);
}

/** The colour scale, from the largest rise to the largest drop, symmetrical about no change. */
function legend(x: number, y: number, width: number, most: number): string[] {
  const STEPS = 64;
  const step = width / STEPS;
  const cells = Array.from({ length: STEPS }, (_, i) => {
    const colour = mix(190, (2 * (i + 0.5)) / STEPS - 1);
    return rectangle(x + i * step, y, step + 0.5, 12, `rgb(${colour.join(", ")})`);
  });
  const points = (value: number) => `${(100 * value).toFixed(1)} points`;
  return [
    ...cells,
    text(x, y + 30, `+${points(most)}`, FACT),
    text(x + width / 2, y + 30, "no change", { ...FACT, anchor: "middle" }),
    text(x + width, y + 30, `−${points(most)}`, { ...FACT, anchor: "end" }),
    text(x, y + 48, "change in probability with the square there", FACT),
  ];
}

/** A grey made red or blue. @param strength −1 … 1 */
function mix(grey: number, strength: number): [red: number, green: number, blue: number] {
  const [red, green, blue] = strength >= 0 ? POSITIVE : NEGATIVE;
  const share = shareOf(Math.abs(strength));
  const towards = (target: number) => Math.round(grey + share * (target - grey));
  return [towards(red), towards(green), towards(blue)];
}

/**
 * An image in grey, red where a map's numbers are positive and blue where they are negative, strongest at the largest.
 * @param map side × side, row by row
 * @throws ShapeError when it has another length
 */
export function overlay({ pixels, width, height }: Raster, map: Float32Array, side: number): Raster {
  if (map.length !== side * side) {
    throw new ShapeError(`a map of ${side} × ${side} positions with ${map.length} numbers`);
  }
  const most = largest(map);
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 3 * (y * width + x);
      const grey = 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;
      // Lightened, so that colours stand out in dark areas too.
      const pale = 60 + 0.7 * grey;
      const value = between(map, side, ((y + 0.5) * side) / height - 0.5, ((x + 0.5) * side) / width - 0.5);
      out.set(mix(pale, most === 0 ? 0 : value / most), at);
    }
  }
  return { pixels: out, width, height };
}

/** The largest magnitude. */
function largest(map: Float32Array): number {
  return map.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Bilinear interpolation, clamped at the border. */
function between(values: Float32Array, side: number, row: number, column: number): number {
  const [y, x] = [Math.min(Math.max(row, 0), side - 1), Math.min(Math.max(column, 0), side - 1)];
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [bottom, right] = [Math.min(top + 1, side - 1), Math.min(left + 1, side - 1)];
  const [down, across] = [y - top, x - left];
  const line = (r: number) => values[r * side + left]! * (1 - across) + values[r * side + right]! * across;
  return line(top) * (1 - down) + line(bottom) * down;
}
