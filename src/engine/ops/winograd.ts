/**
 * Stride-1 convolution by Winograd's minimal filtering, F(4 × 4, 3 × 3) and F(4 × 4, 5 × 5) of Lavin and Gray
 * (arXiv:1509.09308): 4 × 4 outputs at a time, from patches d of 6 × 6 or 8 × 8 pixels and windows k:
 *
 *   y = Aᵀ [Σ_c (G k Gᵀ) ⊙ (Bᵀ d B)] A
 *
 * The sums are a matrix product for each position in a patch: per map and 16 outputs, 36 multiplications instead of 144
 * for 3 × 3, and 64 instead of 400 for 5 × 5. These products are the gradient of a 1 × 1 convolution in which each
 * position has its own groups, so its kernel and variants compute them. The gradient of x is the same convolution of
 * dy, with windows rotated by 180° and maps and filters exchanged.
 *
 * Its rounding errors are larger than those of direct convolution: 1e-5 of the largest number instead of 2e-6. Patches
 * and products take 2.25 or 4 times the memory of x and y, and more where tiles reach beyond the border.
 */
import type { Backend, Buffer } from "../backend.ts";
import { kernel, line, u32s, type Kernel } from "../kernel.ts";
import { poolOf } from "../pool.ts";
import { activated } from "./later/epilogue.ts";
import input3 from "../../../kernels/wgsl/winograd_3x3_input.wgsl" with { type: "text" };
import output3 from "../../../kernels/wgsl/winograd_3x3_output.wgsl" with { type: "text" };
import weights3 from "../../../kernels/wgsl/winograd_3x3_weights.wgsl" with { type: "text" };
import input5 from "../../../kernels/wgsl/winograd_5x5_input.wgsl" with { type: "text" };
import output5 from "../../../kernels/wgsl/winograd_5x5_output.wgsl" with { type: "text" };
import weights5 from "../../../kernels/wgsl/winograd_5x5_weights.wgsl" with { type: "text" };

/** A convolution, or the one that computes dx from dy. */
interface Convolution {
  readonly images: number;
  readonly groups: number;
  /** Input maps and their size. */
  readonly c: number;
  readonly h: number;
  readonly w: number;
  /** Output maps and their size. */
  readonly o: number;
  readonly oh: number;
  readonly ow: number;
  /** Side of the window. */
  readonly kh: number;
  readonly pad: number;
  /** Whether windows are rotated by 180° and lead from w's first dimension to its second, for dx. */
  readonly turned: boolean;
}

/** Side of a tile of outputs. */
const TILE = 4;

/**
 * Below these, the transforms cost more than they save: a group's input and output maps, and the share of the tiles'
 * area that is output.
 */
const MIN_MAPS = 32;
const MIN_FILLED = 0.6;
/** Maximum size of an array of patches or products. */
const MAX_BYTES = 2 ** 30;

/** The kernel that computes the products: the gradient of a convolution. */
type Products = Kernel<
  "w" | "dy" | "dx",
  "images" | "c" | "h" | "w" | "o" | "oh" | "ow" | "kh" | "kw" | "stride" | "pad" | "groups"
>;

/**
 * Whether to compute a convolution this way: on GPUs, if the window is 3 × 3 or 5 × 5 and the stride 1, with enough
 * maps, and if the patches fit in memory. The cpu has its own implementation.
 */
export function suitsWinograd(
  { needsSplitting, limits }: Backend,
  u: Omit<Convolution, "turned"> & Readonly<Record<"kw" | "stride", number>>,
): boolean {
  const scheme = schemes.get(u.kh);
  if (!needsSplitting || !scheme || u.kw !== u.kh || u.stride !== 1 || u.pad >= u.kh) return false;
  if (Math.min(u.c, u.o) / u.groups < MIN_MAPS) return false;
  const most = Math.min(limits.bindingBytes, MAX_BYTES);
  return [
    [u.oh, u.ow],
    [u.h, u.w],
  ].every(([h = 0, w = 0]) => {
    const tiles = tilesOf(h) * tilesOf(w);
    const bytes = 4 * scheme.positions * Math.max(u.c, u.o) * tiles * u.images;
    return h * w >= MIN_FILLED * tiles * TILE ** 2 && bytes <= most;
  });
}

const tilesOf = (pixels: number) => Math.ceil(pixels / TILE);

/** The convolution that computes dx from dy. */
export function backwards({ images, groups, c, h, w, o, oh, ow, kh, pad }: Omit<Convolution, "turned">): Convolution {
  return { images, groups, c: o, h: oh, w: ow, o: c, oh: h, ow: w, kh, pad: kh - 1 - pad, turned: true };
}

/** Queues the convolution's kernels. `b`, if given, is added. */
export function runWinograd(
  backend: Backend,
  products: Products,
  { images, groups, c, h, w, o, oh, ow, kh, pad, turned }: Convolution,
  given: { readonly x: Buffer; readonly w: Buffer; readonly s?: Buffer; readonly b?: Buffer; readonly y: Buffer },
  epilogue = { scaled: 0, activation: 0 },
): void {
  const scheme = schemes.get(kh)!;
  const { positions } = scheme;
  const pool = poolOf(backend);
  const [th, tw] = [tilesOf(oh), tilesOf(ow)];
  const [terms, rows] = [c / groups, o / groups];
  const filters = pool.take("f32", positions * groups * terms * rows);
  const patches = pool.take("f32", positions * c * th * tw * images);
  const sums = pool.take("f32", positions * o * th * tw * images);
  backend.run(scheme.weights, { w: given.w, filters }, { groups, terms, rows, turned: turned ? 1 : 0 });
  backend.run(scheme.input, { x: given.x, patches }, { images, c, h, w, pad, th, tw });
  backend.run(
    products,
    { w: filters, dy: patches, dx: sums },
    {
      ...{ images, c: positions * o, h: th, w: tw, o: positions * c, oh: th, ow: tw },
      ...{ kh: 1, kw: 1, stride: 1, pad: 0, groups: positions * groups },
    },
  );
  backend.run(
    scheme.output,
    { products: sums, s: given.s ?? given.w, b: given.b ?? given.w, y: given.y },
    { images, o, oh, ow, th, tw, biased: given.b ? 1 : 0, ...epilogue },
  );
  // Safe while the kernels are still queued: whatever uses the buffers next is queued after them.
  for (const buffer of [filters, patches, sums]) pool.give(buffer);
}

type Matrix = readonly (readonly number[])[];

/** Element (i, j) of m a mᵀ, the square matrix `a` given as a function. */
function transformed(m: Matrix, i: number, j: number, a: (row: number, column: number) => number): number {
  let sum = 0;
  m[i]!.forEach((left, row) =>
    m[j]!.forEach((right, column) => {
      // Skips 0 · NaN.
      if (left * right !== 0) sum += left * right * a(row, column);
    }),
  );
  return sum;
}

/**
 * The kernels of a window's transforms.
 * @param ofInput Bᵀ; `ofWeights` is G, `ofOutput` Aᵀ
 */
function scheme(
  window: number,
  wgsl: Readonly<Record<"input" | "weights" | "output", string>>,
  ofInput: Matrix,
  ofWeights: Matrix,
  ofOutput: Matrix,
) {
  const side = TILE + window - 1;
  const positions = side ** 2;
  const name = `winograd_${window}x${window}`;
  const input = kernel({
    name: `${name}_input`,
    module: import.meta.url,
    wgsl: wgsl.input,
    buffers: { x: "read", patches: "write" },
    // th, tw: number of tiles down and across.
    uniforms: u32s("images", "c", "h", "w", "pad", "th", "tw"),
    workgroups: ({ images, c, th, tw }) => line(c * th * tw * images),
    reference({ x, patches }, { images, c, h, w, pad, th, tw }) {
      for (let at = 0, position = 0; position < positions; position++) {
        const [i, j] = [Math.floor(position / side), position % side];
        for (let map = 0; map < c; map++) {
          for (let tile = 0; tile < th * tw; tile++) {
            const [top, left] = [Math.floor(tile / tw) * TILE - pad, (tile % tw) * TILE - pad];
            for (let n = 0; n < images; n++, at++) {
              patches[at] = transformed(ofInput, i, j, (row, column) => {
                const [p, q] = [top + row, left + column];
                return p < 0 || p >= h || q < 0 || q >= w ? 0 : x[((map * h + p) * w + q) * images + n]!;
              });
            }
          }
        }
      }
    },
  });
  const weights = kernel({
    name: `${name}_weights`,
    module: import.meta.url,
    wgsl: wgsl.weights,
    buffers: { w: "read", filters: "write" },
    // terms, rows: input and output maps of a group. turned: 1 for the gradient of the input.
    uniforms: u32s("groups", "terms", "rows", "turned"),
    workgroups: ({ groups, terms, rows }) => line(groups * terms * rows),
    reference({ w, filters }, { groups, terms, rows, turned }) {
      const taps = window ** 2;
      for (let at = 0, position = 0; position < positions; position++) {
        const [i, j] = [Math.floor(position / side), position % side];
        for (let group = 0; group < groups; group++) {
          for (let term = 0; term < terms; term++) {
            for (let row = 0; row < rows; row++, at++) {
              const first = taps * (turned ? (group * terms + term) * rows + row : (group * rows + row) * terms + term);
              filters[at] = transformed(ofWeights, i, j, (p, q) => {
                const tap = p * window + q;
                return w[first + (turned ? taps - 1 - tap : tap)]!;
              });
            }
          }
        }
      }
    },
  });
  const output = kernel({
    name: `${name}_output`,
    module: import.meta.url,
    wgsl: wgsl.output,
    // biased: 0 ignores b; scaled: 0 ignores s.
    buffers: { products: "read", s: "read", b: "read", y: "write" },
    uniforms: u32s("images", "o", "oh", "ow", "th", "tw", "biased", "scaled", "activation"),
    workgroups: ({ images, o, th, tw }) => line(o * th * tw * images),
    reference({ products, s, b, y }, { images, o, oh, ow, th, tw, biased, scaled, activation }) {
      const size = o * th * tw * images;
      for (let at = 0, map = 0; map < o; map++) {
        for (let p = 0; p < oh; p++) {
          for (let q = 0; q < ow; q++) {
            const tile = (map * th + Math.floor(p / TILE)) * tw + Math.floor(q / TILE);
            for (let n = 0; n < images; n++, at++) {
              const sum = transformed(ofOutput, p % TILE, q % TILE, (i, j) => {
                return products[(i * side + j) * size + tile * images + n]!;
              });
              y[at] = activated((scaled ? s[map]! : 1) * sum + (biased ? b[map]! : 0), activation);
            }
          }
        }
      }
    },
  });
  return { positions, input, weights, output };
}

// The points are 0, 1, −1, 2, −2 and infinity.
const three = scheme(
  3,
  { input: input3, weights: weights3, output: output3 },
  [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ],
  [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ],
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
);

// The points are 0, 1, −1, 2, −2, ½, −½ and infinity.
const five = scheme(
  5,
  { input: input5, weights: weights5, output: output5 },
  [
    [1, 0, -21 / 4, 0, 21 / 4, 0, -1, 0],
    [0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0],
    [0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0],
    [0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0],
    [0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0],
    [0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0],
    [0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0],
    [0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1],
  ],
  [
    [1, 0, 0, 0, 0],
    [-2 / 9, -2 / 9, -2 / 9, -2 / 9, -2 / 9],
    [-2 / 9, 2 / 9, -2 / 9, 2 / 9, -2 / 9],
    [1 / 90, 1 / 45, 2 / 45, 4 / 45, 8 / 45],
    [1 / 90, -1 / 45, 2 / 45, -4 / 45, 8 / 45],
    [32 / 45, 16 / 45, 8 / 45, 4 / 45, 2 / 45],
    [32 / 45, -16 / 45, 8 / 45, -4 / 45, 2 / 45],
    [0, 0, 0, 0, 1],
  ],
  [
    [1, 1, 1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0],
    [0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0],
    [0, 1, -1, 8, -8, 1 / 8, -1 / 8, 1],
  ],
);

/** By side of the window. */
const schemes: ReadonlyMap<number, typeof three> = new Map([
  [3, three],
  [5, five],
]);

export const { input: winograd3Input, weights: winograd3Weights, output: winograd3Output } = three;
export const { input: winograd5Input, weights: winograd5Weights, output: winograd5Output } = five;
