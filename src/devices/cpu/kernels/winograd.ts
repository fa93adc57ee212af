/**
 * Convolution by Winograd's minimal filtering (kernels/wasm/winograd.ts has the formulas): transforms patches of x and
 * the weights, computes 36 or 64 matrix products, and transforms their results back to tiles of 4 × 4 outputs. Since
 * tiles at the border reach beyond it, a 3 × 3 window on 13 × 13 maps takes 38% of the multiplications of direct
 * convolution, a 5 × 5 window on 27 × 27 maps 17%.
 *
 * It works in blocks of columns, a few tiles of some images each, so that the transformed patches never exist as a
 * whole.
 */
import {
  addParts,
  stageOf,
  SUMS_BYTES,
  type Addresses,
  type Machine,
  type Plan,
  type Stage,
  type Uniforms,
} from "../kernel.ts";

/** Side of a tile, in outputs. */
const TILE = 4;
/**
 * Columns in a block, and the maximum number of images among them: enough for efficient products, and few enough for the
 * block's patches to stay in the caches. With 512 columns a training step of alexnet takes a fifth longer, with 64 a
 * quarter.
 */
const COLUMNS = 128;
/** Workspace of the transforms, in bytes: 2 runs and a patch of 8 × 8. */
const WORK_BYTES = 66 * COLUMNS * 4;

/**
 * Whether to compute a convolution this way: for the two window sizes, if there are enough maps to make up for the
 * transforms, and if images divide into vectors of four.
 */
export function suitsWinograd({ kh, kw, stride, c, o, groups, images }: Uniforms): boolean {
  const square = kh === kw && (kh === 3 || kh === 5) && stride === 1;
  return square && Math.min(c!, o!) / groups! >= 16 && images! % 4 === 0 && images! >= 16;
}

/** Sizes of one group; for the gradient of x, with x and y exchanged. */
interface Sizes {
  readonly images: number;
  readonly groups: number;
  /** A group's input and output maps. */
  readonly from: number;
  readonly to: number;
  /** Height and width of the input maps, then of the output maps. */
  readonly h: number;
  readonly w: number;
  readonly oh: number;
  readonly ow: number;
  readonly k: number;
  readonly pad: number;
  /** Side of a patch, in pixels; it has side² positions. */
  readonly side: number;
}

function sizes(u: Uniforms): Sizes {
  const [groups, k] = [u.groups!, u.kh!];
  const image = { images: u.images!, h: u.h!, w: u.w!, oh: u.oh!, ow: u.ow!, pad: u.pad! };
  return { ...image, groups, from: u.c! / groups, to: u.o! / groups, k, side: k + TILE - 1 };
}

/** The convolution that computes dx from dy, with the weights rotated. */
function transposed(s: Sizes): Sizes {
  return { ...s, from: s.to, to: s.from, h: s.oh, w: s.ow, oh: s.h, ow: s.w, pad: s.k - 1 - s.pad };
}

/** A tile of outputs of some images. */
interface Tile {
  readonly top: number;
  readonly left: number;
  /** The first image, and their number. */
  readonly image: number;
  readonly images: number;
  /** The first of its columns in the block. */
  readonly column: number;
}

/** How tiles and images are divided into blocks. */
interface Blocks {
  readonly count: number;
  /** Maximum number of columns in a block. */
  readonly columns: number;
  of(block: number): { readonly columns: number; readonly tiles: readonly Tile[] };
}

function cut({ images, groups, oh, ow }: Sizes, threads: number): Blocks {
  const wide = Math.ceil(ow / TILE);
  const tiles = Math.ceil(oh / TILE) * wide;
  // Every thread gets a block, unless they would be too small for efficient products.
  const columns = Math.max(32, Math.min(COLUMNS, Math.ceil((tiles * images * groups) / threads)));
  const blockImages = Math.min(images, COLUMNS);
  const imageParts = Math.ceil(images / blockImages);
  const blockTiles = Math.max(1, Math.floor(columns / blockImages));
  return {
    count: Math.ceil(tiles / blockTiles) * imageParts,
    columns: blockTiles * blockImages,
    of(block) {
      const image = (block % imageParts) * blockImages;
      const count = Math.min(blockImages, images - image);
      const first = Math.floor(block / imageParts) * blockTiles;
      const length = Math.min(tiles - first, blockTiles);
      return {
        columns: length * count,
        tiles: Array.from({ length }, (_, i) => {
          const tile = first + i;
          const [top, left] = [Math.floor(tile / wide) * TILE, (tile % wide) * TILE];
          return { top, left, image, images: count, column: i * count };
        }),
      };
    },
  };
}

/** A part of a group's output maps: the first, and their number. */
interface Rows {
  readonly from: number;
  readonly count: number;
}

/**
 * Parts of the output maps, so that every thread has one where there are fewer blocks than threads. Each part transforms
 * the block's patches again, so they aren't made too small.
 */
function partsOf(to: number, blocks: number, threads: number): readonly Rows[] {
  const count = Math.max(1, Math.min(Math.ceil(threads / blocks), Math.floor(to / 32)));
  const starts = Array.from({ length: count + 1 }, (_, i) => Math.floor((to * i) / count));
  return Array.from({ length: count }, (_, i) => ({ from: starts[i]!, count: starts[i + 1]! - starts[i]! }));
}

/** y = f(s · conv(x, w) + b) */
export function winogradForward(u: Uniforms, threads: number): Plan {
  const s = sizes(u);
  const rows = s.groups * s.to;
  const transform = stageOf(rows, 8, (first, count, at, { wasm, shared, scratch }) => {
    for (let row = first; row < first + count; row++) {
      const w = at.w! + row * s.from * s.k * s.k * 4;
      wasm.winogradWeights(s.k, w, s.k * s.k, 0, s.from, shared + row * s.from * 4, rows * s.from, scratch);
    }
  });
  const buffers = (at: Addresses) => ({ x: at.x!, y: at.y!, s: u.scaled ? at.s! : 0, b: at.b! });
  return convolve(s, threads, transform, buffers, u.activation!);
}

/** dx = conv(dy, w rotated, from filters to maps) */
export function winogradBackwardX(u: Uniforms, threads: number): Plan {
  const s = transposed(sizes(u));
  const taps = s.k * s.k;
  const rows = s.groups * s.to;
  const transform = stageOf(rows, 8, (first, count, at, { wasm, shared, scratch }) => {
    for (let row = first; row < first + count; row++) {
      const group = Math.floor(row / s.to);
      const w = at.w! + (group * s.from * s.to + (row % s.to)) * taps * 4;
      wasm.winogradWeights(s.k, w, s.to * taps, 1, s.from, shared + row * s.from * 4, rows * s.from, scratch);
    }
  });
  return convolve(s, threads, transform, (at) => ({ x: at.dy!, y: at.dx!, s: 0, b: 0 }), 0);
}

/**
 * A convolution's stages. The first, `transform`, leaves the transformed weights, side² × groups · to × from, in the
 * shared workspace.
 */
function convolve(
  s: Sizes,
  threads: number,
  transform: Stage,
  buffers: (at: Addresses) => { x: number; y: number; s: number; b: number },
  activation: number,
): Plan {
  const blocks = cut(s, threads);
  const { images, groups, from, to, h, w, oh, ow, pad, side } = s;
  const weights = groups * to * from;
  const parts = partsOf(to, groups * blocks.count, threads);
  const patchBytes = side * side * from * blocks.columns * 4;
  const multiply: Stage = {
    items: groups * blocks.count * parts.length,
    item(index, at, { wasm, gemm, shared, scratch }) {
      const rows = parts[index % parts.length]!;
      const [group, block] = divide(Math.floor(index / parts.length), blocks.count);
      const first = group * to + rows.from;
      const { x, y, s, b } = buffers(at);
      const source = x + group * from * h * w * images * 4;
      const target = y + first * oh * ow * images * 4;
      const [scale, bias] = [s, b].map((values) => values && values + first * 4) as [number, number];
      const patches = scratch + WORK_BYTES;
      const products = patches + patchBytes;
      const { columns, tiles } = blocks.of(block);
      for (const { top, left, image, images: count, column } of tiles) {
        const at = source + image * 4;
        const into = patches + column * 4;
        wasm.winogradInput(side, at, h, w, images, top - pad, left - pad, from, count, into, columns, scratch);
      }
      for (let position = 0; position < side * side; position++) {
        const a = shared + (position * weights + first * from) * 4;
        const patch = patches + position * from * columns * 4;
        const product = products + position * rows.count * columns * 4;
        gemm(false, false, rows.count, columns, from, a, from, patch, columns, false, product, columns);
      }
      for (const { top, left, image, images: count, column } of tiles) {
        const sums = products + column * 4;
        const out = target + image * 4;
        wasm.winogradOutput(
          ...([side, sums, columns, scale, bias, activation] as const),
          ...([out, oh, ow, images, top, left, rows.count, count, scratch] as const),
        );
      }
    },
  };
  return {
    scratch: WORK_BYTES + patchBytes + side * side * to * blocks.columns * 4,
    shared: side * side * weights * 4,
    stages: [transform, multiply],
  };
}

/**
 * dw: an item is a part of a group's output maps, in a chunk of the blocks; the chunks' sums are added in order and
 * transformed back.
 */
export function winogradBackwardW(u: Uniforms, threads: number): Plan {
  const s = sizes(u);
  const { images, groups, from, to, h, w, oh, ow, k, pad, side } = s;
  const blocks = cut(s, threads);
  const weights = groups * to * from;
  const numbers = side * side * weights;
  const wanted = Math.min(Math.ceil((2 * threads) / groups), Math.max(1, Math.floor(SUMS_BYTES / (4 * numbers))));
  const chunkBlocks = Math.ceil(blocks.count / wanted);
  const chunks = Math.ceil(blocks.count / chunkBlocks);
  const parts = partsOf(to, groups * chunks, threads);
  const patchBytes = side * side * from * blocks.columns * 4;

  /** Adds a block's share of the sums of some rows. */
  const addBlock = (
    block: number,
    rows: number,
    x: number,
    dy: number,
    sums: number,
    add: boolean,
    machine: Machine,
  ): void => {
    const { wasm, gemm, scratch } = machine;
    const patches = scratch + WORK_BYTES;
    const gradients = patches + patchBytes;
    const { columns, tiles } = blocks.of(block);
    for (const { top, left, image, images: count, column } of tiles) {
      const [atX, atDy] = [x + image * 4, dy + image * 4];
      const [intoX, intoDy] = [patches + column * 4, gradients + column * 4];
      wasm.winogradInput(side, atX, h, w, images, top - pad, left - pad, from, count, intoX, columns, scratch);
      wasm.winogradGradient(side, atDy, oh, ow, images, top, left, rows, count, intoDy, columns, scratch);
    }
    for (let position = 0; position < side * side; position++) {
      const patch = patches + position * from * columns * 4;
      const gradient = gradients + position * rows * columns * 4;
      gemm(
        false,
        true,
        rows,
        from,
        columns,
        gradient,
        columns,
        patch,
        columns,
        add,
        sums + position * weights * 4,
        from,
      );
    }
  };

  return {
    scratch: WORK_BYTES + patchBytes + side * side * to * blocks.columns * 4,
    shared: chunks * numbers * 4,
    stages: [
      {
        items: groups * chunks * parts.length,
        item(index, at, machine) {
          const rows = parts[index % parts.length]!;
          const [group, chunk] = divide(Math.floor(index / parts.length), chunks);
          const first = group * to + rows.from;
          const x = at.x! + group * from * h * w * images * 4;
          const dy = at.dy! + first * oh * ow * images * 4;
          const sums = machine.shared + (chunk * numbers + first * from) * 4;
          const begin = chunk * chunkBlocks;
          const end = Math.min(blocks.count, begin + chunkBlocks);
          for (let block = begin; block < end; block++) {
            addBlock(block, rows.count, x, dy, sums, block > begin, machine);
          }
        },
      },
      ...(chunks > 1
        ? [addParts(numbers, chunks - 1, (_, { shared }) => ({ to: shared, from: shared + numbers * 4 }))]
        : []),
      stageOf(groups * to, 8, (first, count, at, { wasm, shared, scratch }) => {
        for (let row = first; row < first + count; row++) {
          const dw = at.dw! + row * from * k * k * 4;
          wasm.winogradWeightGradient(k, shared + row * from * 4, weights, from, dw, scratch);
        }
      }),
    ],
  };
}

/** The quotient and the remainder. */
function divide(n: number, by: number): readonly [number, number] {
  return [Math.floor(n / by), n % by];
}
