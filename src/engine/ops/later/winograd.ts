/**
 * Stride-1 convolution by Winograd's minimal filtering, F(4 × 4, 3 × 3) and F(4 × 4, 5 × 5) of Lavin and Gray
 * (arXiv:1509.09308): 4 × 4 outputs at a time, from patches d of 6 × 6 or 8 × 8 pixels and windows k:
 *
 *   y = Aᵀ [Σ_c (G k Gᵀ) ⊙ (Bᵀ d B)] A
 *
 * The sums are a matrix product for each position in a patch: per map and 16 outputs, 36 multiplications instead of 144
 * for 3 × 3, and 64 instead of 400 for 5 × 5. These products are the gradient of a 1 × 1 convolution in which each
 * position has its own groups, so its kernel and variants compute them. The gradient of x is the same convolution of
 * dy, with windows rotated by 180° and maps and filters exchanged. That of k is the transposed formula, summed over
 * tiles and images, and its products are the gradient of that 1 × 1 convolution's weights:
 *
 *   dk = Gᵀ [Σ (A dy Aᵀ) ⊙ (Bᵀ d B)] G
 *
 * Its rounding errors are larger than those of direct convolution: 1e-5 of the largest number instead of 2e-6, and 2e-5
 * in the gradient of windows of 5 × 5. Patches and products take 2.25 or 4 times the memory of x and y, and more where
 * tiles reach beyond the border.
 */
import type { Backend, Buffer, BufferView } from "../../backend.ts";
import type { Kernel } from "../../kernel.ts";
import { poolOf } from "../../pool.ts";
import { runSplit, chooseSplits } from "../split.ts";
import { schemes, TILE } from "./winograd_transforms.ts";

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

/**
 * Below these, the transforms cost more than they save: a group's input and output maps, and the share of the tiles'
 * area that is output.
 */
const MIN_MAPS = 32;
const MIN_FILLED = 0.6;
/** Maximum size of an array of patches or products. */
const MAX_BYTES = 2 ** 30;

type Sizes = "images" | "c" | "h" | "w" | "o" | "oh" | "ow" | "kh" | "kw" | "stride" | "pad" | "groups";

/** The kernels that compute the products: the gradients of a convolution. */
type Products = Kernel<"w" | "dy" | "dx", Sizes>;
type ProductsOfW = Kernel<"x" | "dy" | "dw", Sizes | "splits">;

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
    pointwise(images, positions * o, positions * c, positions * groups, th, tw),
  );
  backend.run(
    scheme.output,
    { products: sums, s: given.s ?? given.w, b: given.b ?? given.w, y: given.y },
    { images, o, oh, ow, th, tw, biased: given.b ? 1 : 0, ...epilogue },
  );
  // Safe while the kernels are still queued: whatever uses the buffers next is queued after them.
  for (const buffer of [filters, patches, sums]) pool.give(buffer);
}

/** Queues the kernels of the gradient of the windows. */
export function runWinogradBackwardW(
  backend: Backend,
  products: ProductsOfW,
  { images, groups, c, h, w, o, oh, ow, kh, pad }: Omit<Convolution, "turned">,
  given: { readonly x: Buffer; readonly dy: Buffer; readonly dw: Buffer | BufferView },
): void {
  const scheme = schemes.get(kh)!;
  const { positions } = scheme;
  const pool = poolOf(backend);
  const [th, tw] = [tilesOf(oh), tilesOf(ow)];
  const patches = pool.take("f32", positions * c * th * tw * images);
  const gradients = pool.take("f32", positions * o * th * tw * images);
  const size = (o * c) / groups;
  const sums = pool.take("f32", positions * size);
  backend.run(scheme.input, { x: given.x, patches }, { images, c, h, w, pad, th, tw });
  backend.run(scheme.gradients, { dy: given.dy, gradients }, { images, o, oh, ow, th, tw });
  const sizes = pointwise(images, positions * c, positions * o, positions * groups, th, tw);
  const splits = chooseSplits(backend, o / groups, c / groups, positions * groups, th * tw * images);
  runSplit(backend, splits, sums, (into) =>
    backend.run(products, { x: patches, dy: gradients, dw: into }, { ...sizes, splits }),
  );
  backend.run(scheme.windows, { products: sums, dw: given.dw }, { size });
  for (const buffer of [patches, gradients, sums]) pool.give(buffer);
}

/** The sizes of a 1 × 1 convolution of c maps to o maps. */
function pointwise(images: number, c: number, o: number, groups: number, h: number, w: number) {
  return { images, c, h, w, o, oh: h, ow: w, kh: 1, kw: 1, stride: 1, pad: 0, groups };
}
