/**
 * Convolution by matrix products (im2col), a block of columns at a time, so that the column matrix never exists as a
 * whole. With images innermost, columns (p, q, n) are in the order of the output in memory: any run of them is a block
 * of the output with rows oh · ow · N apart, and the product writes its result in place.
 */
import type { WasmKernels } from "../../../wasm/wasm.ts";
import { addParts, SUMS_BYTES, type CpuKernel, type Machine, type Stage, type Uniforms } from "../kernel.ts";
import { withEpilogue } from "./epilogue.ts";
import { isPointwise, pointwiseBackwardX, pointwiseColumns } from "./pointwise.ts";
import { suitsWinograd, winogradBackwardW, winogradBackwardX, winogradForward } from "./winograd.ts";

/** Sizes of one group of a convolution. */
interface Sizes {
  readonly groups: number;
  /** Maps of x and of y in a group. */
  readonly c: number;
  readonly o: number;
  /** Rows of the column matrix: c · kh · kw. */
  readonly k: number;
  /** Columns: pixels of y times images. */
  readonly columns: number;
  /** Pixels of x times images. */
  readonly pixels: number;
}

function sizes(u: Uniforms): Sizes {
  const c = u.c! / u.groups!;
  return {
    groups: u.groups!,
    c,
    o: u.o! / u.groups!,
    k: c * u.kh! * u.kw!,
    columns: u.oh! * u.ow! * u.images!,
    pixels: u.h! * u.w! * u.images!,
  };
}

/** Bytes of a block of the column matrix: about a core's second-level cache. */
const BLOCK_BYTES = 512 << 10;

/** Where columns have few rows, longer blocks would evict the product's other operands from that cache. */
const BLOCK_COLUMNS = 640;

/** The number of columns in a block with `rows` rows: as many as fit, in multiples of 16. */
function blockColumns(total: number, rows: number): number {
  const fits = Math.min(BLOCK_COLUMNS, Math.max(64, Math.floor(BLOCK_BYTES / (4 * rows) / 16) * 16));
  return Math.min(fits, Math.ceil(total / 16) * 16);
}

/** y = f(s · w · col + b). An item is a block of columns, finished while it is in the cache. */
const forward: CpuKernel = {
  name: "conv2d_forward",
  plan(u, threads) {
    if (suitsWinograd(u)) return winogradForward(u, threads);
    const { groups, c, o, k, columns, pixels } = sizes(u);
    const size = isPointwise(u)
      ? pointwiseColumns(u, threads)
      : Math.min(blockColumns(columns, k), Math.max(16, Math.ceil(columns / (4 * threads) / 16) * 16));
    const blocks = Math.ceil(columns / size);
    return {
      scratch: scratchOf(u, k, size),
      stages: [
        {
          items: groups * blocks,
          item(index, at, machine) {
            const group = Math.floor(index / blocks);
            const first = (index % blocks) * size;
            const count = Math.min(size, columns - first);
            const x = at.x! + group * c * pixels * 4;
            const y = at.y! + (group * o * columns + first) * 4;
            const [col, pitch] = columnsOf(x, u, 0, k, first, count, machine);
            withEpilogue(u, at, machine, { y, pitch: columns, count, first: group * o, filters: o }, (add) =>
              machine.gemm(false, false, o, count, k, at.w! + group * o * k * 4, k, col, pitch, add, y, columns),
            );
          },
        },
      ],
    };
  },
};

/** Bytes of workspace for a block of the column matrix: none if it is not copied. */
function scratchOf(u: Uniforms, rows: number, columns: number): number {
  return isPointwise(u) ? 0 : rows * columns * 4;
}

/** A part of the column matrix, kCount × count: its address, and how many numbers its rows are apart. */
function columnsOf(
  x: number,
  u: Uniforms,
  kFirst: number,
  kCount: number,
  first: number,
  count: number,
  { wasm, scratch }: Machine,
): readonly [address: number, pitch: number] {
  if (isPointwise(u)) {
    const pixels = u.h! * u.w! * u.images!;
    return [x + (kFirst * pixels + first) * 4, pixels];
  }
  moveColumns(wasm.im2col, x, u, kFirst, kCount, first, count, scratch);
  return [scratch, count];
}

/** Copies a part of the column matrix, kCount × count, to or from `scratch`, where it is contiguous. */
function moveColumns(
  move: WasmKernels["im2col"],
  x: number,
  u: Uniforms,
  kFirst: number,
  kCount: number,
  first: number,
  count: number,
  scratch: number,
): void {
  const { h, w, images, ow, kh, kw, stride, pad } = u;
  move(x, h!, w!, images!, ow!, kh!, kw!, stride!, pad!, kFirst, kCount, first, count, scratch, count);
}

/** Rows of the column matrix that make an efficient product with dy; fewer only so that every thread has work. */
const ROWS = 288;

/** dx = col2im(wᵀ · dy). An item is some maps of dx, which no other writes. */
const backwardX: CpuKernel = {
  name: "conv2d_backward_x",
  plan(u, threads) {
    if (suitsWinograd(u)) return winogradBackwardX(u, threads);
    if (isPointwise(u)) return pointwiseBackwardX(u, threads);
    const { groups, c, o, k, columns, pixels } = sizes(u);
    const taps = u.kh! * u.kw!;
    const maps = Math.max(1, Math.min(Math.ceil(ROWS / taps), Math.floor((c * groups) / (4 * threads))));
    const parts = Math.ceil(c / maps);
    const size = blockColumns(columns, maps * taps);
    return {
      scratch: maps * taps * size * 4,
      stages: [
        {
          items: groups * parts,
          item(index, at, { wasm, gemm, scratch }) {
            const group = Math.floor(index / parts);
            const map = (index % parts) * maps;
            const mapCount = Math.min(maps, c - map);
            const rows = mapCount * taps;
            const w = at.w! + (group * o * k + map * taps) * 4;
            const dx = at.dx! + (group * c + map) * pixels * 4;
            const dy = at.dy! + group * o * columns * 4;
            wasm.clearFloats(dx, mapCount * pixels);
            for (let first = 0; first < columns; first += size) {
              const count = Math.min(size, columns - first);
              gemm(true, false, rows, count, o, w, k, dy + first * 4, columns, false, scratch, count);
              moveColumns(wasm.col2im, dx, u, 0, rows, first, count, scratch);
            }
          },
        },
      ],
    };
  },
};

/**
 * dw = dy · colᵀ. An item is a range of dw's columns, which are rows of the column matrix, summed in order over a chunk
 * of its columns. The sums of the first chunk go to dw, those of the others to the workspace, from where they are added
 * afterwards.
 */
const backwardW: CpuKernel = {
  name: "conv2d_backward_w",
  plan(u, threads) {
    if (suitsWinograd(u)) return winogradBackwardW(u, threads);
    const { groups, c, o, k, columns, pixels } = sizes(u);
    const pointwise = isPointwise(u);
    const parts = pointwise ? 1 : Math.ceil(k / (2 * ROWS));
    const rows = Math.ceil(k / parts / 16) * 16;
    const size = pointwise ? pointwiseColumns(u, threads) : blockColumns(columns, rows);
    const blocks = Math.ceil(columns / size);
    const weights = groups * o * k;
    const wanted = Math.min(Math.ceil((4 * threads) / (groups * parts)), 1 + Math.floor(SUMS_BYTES / (4 * weights)));
    const chunkBlocks = Math.ceil(blocks / wanted);
    const chunks = Math.ceil(blocks / chunkBlocks);
    const stages: Stage[] = [
      {
        items: groups * parts * chunks,
        item(index, at, machine) {
          const { gemm, shared } = machine;
          const chunk = index % chunks;
          const part = Math.floor(index / chunks) % parts;
          const group = Math.floor(index / chunks / parts);
          const kFirst = part * rows;
          const kCount = Math.min(rows, k - kFirst);
          const x = at.x! + group * c * pixels * 4;
          const dy = at.dy! + group * o * columns * 4;
          const sums = chunk === 0 ? at.dw! : shared + (chunk - 1) * weights * 4;
          const dw = sums + (group * o * k + kFirst) * 4;
          const start = chunk * chunkBlocks * size;
          const end = Math.min(columns, start + chunkBlocks * size);
          for (let first = start; first < end; first += size) {
            const count = Math.min(size, end - first);
            const [col, pitch] = columnsOf(x, u, kFirst, kCount, first, count, machine);
            gemm(false, true, o, kCount, count, dy + first * 4, columns, col, pitch, first > start, dw, k);
          }
        },
      },
    ];
    if (chunks > 1) {
      stages.push(addParts(weights, chunks - 1, (at, { shared }) => ({ to: at.dw!, from: shared })));
    }
    return { scratch: scratchOf(u, rows, size), shared: (chunks - 1) * weights * 4, stages };
  },
};

export const convolutionKernels: readonly CpuKernel[] = [forward, backwardX, backwardW];
