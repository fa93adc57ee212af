/**
 * Convolution of stride 1 by Winograd's minimal filtering, F(4 × 4, 3 × 3) of Lavin and Gray (arXiv:1509.09308): 4 × 4
 * outputs at a time, from patches of 6 × 6 pixels d and windows k:
 *
 *   y = Aᵀ [Σ_c (G k Gᵀ) ⊙ (Bᵀ d B)] A
 *
 * The sums are a matrix product for each of the 36 positions: 36 multiplications for 16 outputs and a map, where the
 * direct form has 144. The products are what the gradient of a 1 × 1 convolution with 36 times as many groups is, so
 * that kernel computes them, with its variants. The gradient of x is the same convolution of dy, with windows turned by
 * half a turn and maps and filters exchanged.
 *
 * Its rounding errors are larger than those of the direct form. Transformed patches and products take 2.25 times the
 * memory of x and y, and more where tiles reach beyond the border.
 */
import type { Backend, Buffer } from "../backends/backend.ts";
import { kernel, line, type Kernel } from "../backends/kernel.ts";
import { poolOf } from "../backends/pool.ts";
import inputWgsl from "../../kernels/wgsl/winograd_3x3_input.wgsl" with { type: "text" };
import outputWgsl from "../../kernels/wgsl/winograd_3x3_output.wgsl" with { type: "text" };
import weightsWgsl from "../../kernels/wgsl/winograd_3x3_weights.wgsl" with { type: "text" };

/** A convolution, or the one that leads from dy to dx. */
export interface Filtering {
  readonly images: number;
  readonly groups: number;
  /** Maps that come in, of how many pixels. */
  readonly c: number;
  readonly h: number;
  readonly w: number;
  /** Maps that go out, of how many pixels. */
  readonly o: number;
  readonly oh: number;
  readonly ow: number;
  readonly pad: number;
  /** Whether windows are turned by half a turn, and lead from w's first side to its second. */
  readonly turned: boolean;
}

/** Side of a tile of outputs, of a window, and of the patch of pixels that they need. */
const TILE = 4;
const WINDOW = 3;
const SIDE = TILE + WINDOW - 1;
const POSITIONS = SIDE ** 2;

/** Maps of a group, in and out, that make up for the transforms; and the part of the tiles that has to be outputs. */
const LEAST_MAPS = 32;
const LEAST_FILLED = 0.6;

/** What computes the products: the gradient of a convolution. */
type Products = Kernel<
  "w" | "dy" | "dx",
  "images" | "c" | "h" | "w" | "o" | "oh" | "ow" | "kh" | "kw" | "stride" | "pad" | "groups"
>;

/**
 * Whether a convolution is done so: on devices with many cores, where the window is 3 × 3 and its stride 1, there are
 * maps enough, and the transformed arrays can be bound. The cpu has its own way.
 */
export function suitsWinograd(
  { parallelWorkgroups, limits }: Backend,
  u: Omit<Filtering, "turned"> & Readonly<Record<"kh" | "kw" | "stride", number>>,
): boolean {
  if (parallelWorkgroups === 1 || u.kh !== WINDOW || u.kw !== WINDOW || u.stride !== 1 || u.pad >= WINDOW) return false;
  if (Math.min(u.c, u.o) / u.groups < LEAST_MAPS) return false;
  return [
    [u.oh, u.ow],
    [u.h, u.w],
  ].every(([h = 0, w = 0]) => {
    const tiles = tilesOf(h) * tilesOf(w);
    const bytes = 4 * POSITIONS * Math.max(u.c, u.o) * tiles * u.images;
    return h * w >= LEAST_FILLED * tiles * TILE ** 2 && bytes <= limits.bindingBytes;
  });
}

const tilesOf = (pixels: number) => Math.ceil(pixels / TILE);

/** Queues it. `b` is added if there is one. */
export function runWinograd(
  backend: Backend,
  products: Products,
  { images, groups, c, h, w, o, oh, ow, pad, turned }: Filtering,
  given: { readonly x: Buffer; readonly w: Buffer; readonly b?: Buffer; readonly y: Buffer },
): void {
  const pool = poolOf(backend);
  const [th, tw] = [tilesOf(oh), tilesOf(ow)];
  const [terms, rows] = [c / groups, o / groups];
  const filters = pool.take("f32", POSITIONS * groups * terms * rows);
  const patches = pool.take("f32", POSITIONS * c * th * tw * images);
  const sums = pool.take("f32", POSITIONS * o * th * tw * images);
  backend.run(winogradWeights, { w: given.w, filters }, { groups, terms, rows, turned: turned ? 1 : 0 });
  backend.run(winogradInput, { x: given.x, patches }, { images, c, h, w, pad, th, tw });
  backend.run(
    products,
    { w: filters, dy: patches, dx: sums },
    {
      ...{ images, c: POSITIONS * o, h: th, w: tw, o: POSITIONS * c, oh: th, ow: tw },
      ...{ kh: 1, kw: 1, stride: 1, pad: 0, groups: POSITIONS * groups },
    },
  );
  backend.run(
    winogradOutput,
    { products: sums, b: given.b ?? given.w, y: given.y },
    { images, o, oh, ow, th, tw, biased: given.b ? 1 : 0 },
  );
  // Whoever takes them next writes to them after this.
  for (const buffer of [filters, patches, sums]) pool.give(buffer);
}

type Matrix = readonly (readonly number[])[];

/** Bᵀ, G and Aᵀ for the points 0, 1, −1, 2, −2 and infinity. */
const INPUT: Matrix = [
  [4, 0, -5, 0, 1, 0],
  [0, -4, -4, 1, 1, 0],
  [0, 4, -4, -1, 1, 0],
  [0, -2, -1, 2, 1, 0],
  [0, 2, -1, -2, 1, 0],
  [0, 4, 0, -5, 0, 1],
];
const WEIGHTS: Matrix = [
  [1 / 4, 0, 0],
  [-1 / 6, -1 / 6, -1 / 6],
  [-1 / 6, 1 / 6, -1 / 6],
  [1 / 24, 1 / 12, 1 / 6],
  [1 / 24, -1 / 12, 1 / 6],
  [0, 0, 1],
];
const OUTPUT: Matrix = [
  [1, 1, 1, 1, 1, 0],
  [0, 1, -1, 2, -2, 0],
  [0, 1, 1, 4, 4, 0],
  [0, 1, -1, 8, -8, 1],
];

/** m a mᵀ at (i, j), where `a` is a square array given by a function. */
function transformed(m: Matrix, i: number, j: number, a: (row: number, column: number) => number): number {
  let sum = 0;
  m[i]!.forEach((left, row) => m[j]!.forEach((right, column) => (sum += left * right * a(row, column))));
  return sum;
}

export const winogradInput = kernel({
  name: "winograd_3x3_input",
  module: import.meta.url,
  wgsl: inputWgsl,
  buffers: { x: "read", patches: "write" },
  // th, tw: tiles from top to bottom and from left to right.
  uniforms: { images: "u32", c: "u32", h: "u32", w: "u32", pad: "u32", th: "u32", tw: "u32" },
  workgroups: ({ images, c, th, tw }) => line(c * th * tw * images),
  reference({ x, patches }, { images, c, h, w, pad, th, tw }) {
    for (let at = 0, position = 0; position < POSITIONS; position++) {
      const [i, j] = [Math.floor(position / SIDE), position % SIDE];
      for (let map = 0; map < c; map++) {
        for (let tile = 0; tile < th * tw; tile++) {
          const [top, left] = [Math.floor(tile / tw) * TILE - pad, (tile % tw) * TILE - pad];
          for (let n = 0; n < images; n++, at++) {
            patches[at] = transformed(INPUT, i, j, (row, column) => {
              const [p, q] = [top + row, left + column];
              return p < 0 || p >= h || q < 0 || q >= w ? 0 : x[((map * h + p) * w + q) * images + n]!;
            });
          }
        }
      }
    }
  },
});

export const winogradWeights = kernel({
  name: "winograd_3x3_weights",
  module: import.meta.url,
  wgsl: weightsWgsl,
  buffers: { w: "read", filters: "write" },
  // terms, rows: maps of a group that come in and go out. turned: 1 for the gradient of the input.
  uniforms: { groups: "u32", terms: "u32", rows: "u32", turned: "u32" },
  workgroups: ({ groups, terms, rows }) => line(groups * terms * rows),
  reference({ w, filters }, { groups, terms, rows, turned }) {
    for (let at = 0, position = 0; position < POSITIONS; position++) {
      const [i, j] = [Math.floor(position / SIDE), position % SIDE];
      for (let group = 0; group < groups; group++) {
        for (let term = 0; term < terms; term++) {
          for (let row = 0; row < rows; row++, at++) {
            const window = turned ? (group * terms + term) * rows + row : (group * rows + row) * terms + term;
            filters[at] = transformed(WEIGHTS, i, j, (p, q) => {
              const tap = p * WINDOW + q;
              return w[window * WINDOW ** 2 + (turned ? WINDOW ** 2 - 1 - tap : tap)]!;
            });
          }
        }
      }
    }
  },
});

export const winogradOutput = kernel({
  name: "winograd_3x3_output",
  module: import.meta.url,
  wgsl: outputWgsl,
  // biased: 0 does without b.
  buffers: { products: "read", b: "read", y: "write" },
  uniforms: { images: "u32", o: "u32", oh: "u32", ow: "u32", th: "u32", tw: "u32", biased: "u32" },
  workgroups: ({ images, o, th, tw }) => line(o * th * tw * images),
  reference({ products, b, y }, { images, o, oh, ow, th, tw, biased }) {
    const size = o * th * tw * images;
    for (let at = 0, map = 0; map < o; map++) {
      for (let p = 0; p < oh; p++) {
        for (let q = 0; q < ow; q++) {
          const tile = (map * th + Math.floor(p / TILE)) * tw + Math.floor(q / TILE);
          for (let n = 0; n < images; n++, at++) {
            const sum = transformed(OUTPUT, p % TILE, q % TILE, (i, j) => {
              return products[(i * SIDE + j) * size + tile * images + n]!;
            });
            y[at] = sum + (biased ? b[map]! : 0);
          }
        }
      }
    }
  },
});
