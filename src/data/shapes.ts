/**
 * The built-in set: ten classes of figures, drawn on demand, so that a first training needs no download. Position, size,
 * angle, colours, pattern, light, occlusion and noise all vary, and a figure is lighter than its background as often as
 * darker, so that no single pixel is informative: on the 2,000 validation images a linear classifier reaches at most 23%
 * accuracy, a small conv net 98% after three epochs. Image i of a seed is always the same image.
 */
import { checkOptions, requireWhole } from "../options.ts";
import { Purpose, Random } from "../random.ts";
import type { Dataset } from "./dataset.ts";
import { FIGURES, segment, type Figure } from "./figures.ts";

export interface ShapesOptions {
  /** Number of training and of validation images; multiples of ten are balanced. */
  readonly train?: number;
  readonly val?: number;
  readonly seed?: number;
  /** Side in pixels. */
  readonly size?: number;
}

/** The built-in set; image i is of class i mod 10. @throws ShapeError or UsageError for invalid options */
export function shapes(options: ShapesOptions = {}): { train: Dataset; val: Dataset } {
  checkOptions("shapes", options, { train: "number?", val: "number?", seed: "number?", size: "number?" });
  const { train = 8000, val = 2000, seed = 1, size = 32 } = options;
  requireWhole("shapes", { train, val, size });
  requireWhole("shapes", { seed }, 0);
  return { train: drawn("shapes", 0, train, seed, size), val: drawn("shapes (validation)", 1, val, seed, size) };
}

function drawn(name: string, split: number, length: number, seed: number, size: number): Dataset {
  const classes = FIGURES.map((figure) => figure.name);
  return {
    name,
    classes,
    length,
    imageSize: size,
    label: (i) => i % classes.length,
    nameOf: (i) => `${name} ${i} (${classes[i % classes.length]})`,
    async read(i) {
      const random = new Random(seed, Purpose.drawing, split, i);
      return { kind: "pixels", pixels: drawFigure(i % classes.length, size, random), width: size, height: size };
    },
    close: async () => {},
  };
}

/** Red, green and blue in 0 … 1; converted to bytes only at the end. */
type Colour = readonly [red: number, green: number, blue: number];

/**
 * Draws one image of figure `label`: size × size, interleaved RGB. Background, figure and up to two bars in front are
 * painted over each other in floating point; noise comes last. Coordinates run from −1 to 1, x right, y down.
 */
export function drawFigure(label: number, size: number, random: Random): Uint8Array {
  const canvas = new Float32Array(size * size * 3);
  paintFigure(canvas, size, FIGURES[label]!, random);
  for (let bars = random.integer(3); bars > 0; bars--) paintBar(canvas, size, random);
  const noise = (0.01 + 0.05 * random.uniform()) / 127.5;
  // The upper bits of a linear congruential generator are good enough for noise, at a tenth of random.word()'s cost.
  let state = random.word();
  const pixels = new Uint8ClampedArray(canvas.length);
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    pixels[i] = 255 * (canvas[i]! + ((state >>> 24) - 127.5) * noise);
  }
  return new Uint8Array(pixels.buffer);
}

function paintFigure(canvas: Float32Array, size: number, figure: Figure, random: Random): void {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  const lighter = random.uniform() < 0.5;
  const contrast = between(0.34, 0.56);
  const lightness = lighter ? between(0.14, 0.86 - contrast) : between(0.14 + contrast, 0.86);
  const behind = pattern(random, lightness, 0.16);
  const front = pattern(random, lighter ? lightness + contrast : lightness - contrast, 0.1);

  const radius = between(0.56, 0.8);
  const reach = 0.9 - radius;
  const [cx, cy] = [between(-reach, reach), between(-reach, reach)];
  const angle = between(-0.35, 0.35);
  const [cos, sin] = [Math.cos(angle) / radius, Math.sin(angle) / radius];
  const squeeze = between(0.92, 1.09);

  const [lightX, lightY] = [between(-0.15, 0.15), between(-0.15, 0.15)];
  const shadow = between(0.1, 0.35);
  const rim = between(0, 0.25);

  const half = size / 2;
  for (let row = 0, at = 0; row < size; row++) {
    const y = (row + 0.5) / half - 1;
    for (let column = 0; column < size; column++, at += 3) {
      const x = (column + 0.5) / half - 1;
      const dx = x - cx;
      const dy = y - cy;
      const distance = figure.distance((cos * dx + sin * dy) * squeeze, (cos * dy - sin * dx) / squeeze) * radius;
      const inside = coverage(distance, half);
      const light = 1 + lightX * x + lightY * y;
      const ground = light * (1 - inside) * (1 - shadow / (1 + 10 * Math.max(0, distance)) ** 2);
      const face = light * inside * (1 - rim / (1 - 12 * Math.min(0, distance)) ** 2);
      const a = inside < 1 ? behind.weight(x, y) : 0;
      const b = inside > 0 ? front.weight(x, y) : 0;
      for (let c = 0; c < 3; c++) {
        canvas[at + c] =
          (behind.from[c]! + behind.change[c]! * a) * ground + (front.from[c]! + front.change[c]! * b) * face;
      }
    }
  }
}

/** A thin bar across part of the image. */
function paintBar(canvas: Float32Array, size: number, random: Random): void {
  const [x, y] = [random.uniform() * 2 - 1, random.uniform() * 2 - 1];
  const angle = random.uniform() * 2 * Math.PI;
  const length = 0.2 + 0.8 * random.uniform();
  const distance = segment(
    x,
    y,
    x + length * Math.cos(angle),
    y + length * Math.sin(angle),
    0.03 + 0.06 * random.uniform(),
  );
  const colour = colourOf(0.1 + 0.8 * random.uniform(), random);
  const half = size / 2;
  for (let row = 0, at = 0; row < size; row++) {
    for (let column = 0; column < size; column++, at += 3) {
      const over = coverage(distance((column + 0.5) / half - 1, (row + 0.5) / half - 1), half);
      if (over === 0) continue;
      for (let c = 0; c < 3; c++) canvas[at + c] = canvas[at + c]! + (colour[c]! - canvas[at + c]!) * over;
    }
  }
}

/** The coverage of a pixel at a signed distance (negative inside): a one-pixel ramp. */
function coverage(distance: number, pixelsPerUnit: number): number {
  return Math.min(1, Math.max(0, 0.5 - distance * pixelsPerUnit));
}

/** A random colour of a given lightness. */
function colourOf(lightness: number, random: Random): Colour {
  const hue = random.uniform() * 2 * Math.PI;
  const strength = Math.min(lightness, 1 - lightness) * (0.3 + 0.7 * random.uniform());
  const channel = (shift: number) => Math.min(1, Math.max(0, lightness + strength * Math.cos(hue + shift)));
  return [channel(0), channel(2.094), channel(4.189)];
}

/** At (x, y) the colour is from + change · weight(x, y), with a weight from 0 to 1. */
interface Pattern {
  readonly from: Colour;
  readonly change: Colour;
  readonly weight: (x: number, y: number) => number;
}

/** Plain, gradient, stripes, checks or ripples, between two colours whose lightness differs by up to `contrast`. */
function pattern(random: Random, lightness: number, contrast: number): Pattern {
  const from = colourOf(Math.min(0.95, lightness + (contrast / 2) * random.uniform()), random);
  const to = colourOf(Math.max(0.05, lightness - (contrast / 2) * random.uniform()), random);
  const mixing = 0.3 + 0.3 * random.uniform();
  const change = [(to[0] - from[0]) * mixing, (to[1] - from[1]) * mixing, (to[2] - from[2]) * mixing] as const;
  const angle = random.uniform() * 2 * Math.PI;
  const [u, v] = [Math.cos(angle), Math.sin(angle)];
  const pitch = 5 + 9 * random.uniform();
  const phase = random.uniform() * 2 * Math.PI;
  const weights: readonly Pattern["weight"][] = [
    () => 0,
    (x, y) => 0.5 + 0.4 * (u * x + v * y),
    (x, y) => 0.5 + 0.5 * Math.sin(pitch * (u * x + v * y) + phase),
    (x, y) => (Math.sin(pitch * (u * x + v * y) + phase) * Math.sin(pitch * (u * y - v * x)) > 0 ? 1 : 0),
    (x, y) => 0.5 + 0.5 * Math.sin(pitch * Math.sqrt((x - u) ** 2 + (y - v) ** 2) + phase),
  ];
  return { from, change, weight: weights[random.integer(weights.length)]! };
}
