/**
 * Convolution by matrix products, a block of columns at a time (im2col), so that the column matrix never exists as a
 * whole. With images innermost, columns (p, q, n) are in the order in which the output lies in memory: any run of them is
 * a block of the output with rows oh · ow · N apart, and the product writes its result in place.
 */
import type { CpuKernel, Machine, PlanContext, Uniforms } from "../kernel.ts";

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

/** Bytes of a block of the column matrix. */
const BLOCK_BYTES = 2 << 20;

/** How many of `total` columns make a block of at most BLOCK_BYTES, and at least a few blocks for each thread. */
function blockColumns(total: number, k: number, { threads }: PlanContext): number {
  const fits = BLOCK_BYTES / (4 * k);
  const shared = total / (4 * threads);
  return Math.max(16, Math.floor(Math.min(fits, shared) / 16) * 16);
}

const forward: CpuKernel = {
  name: "conv2d_forward",
  plan(u, context) {
    const { groups, c, o, k, columns, pixels } = sizes(u);
    const size = blockColumns(columns, k, context);
    const blocks = Math.ceil(columns / size);
    return {
      scratch: k * size * 4,
      stages: [
        {
          items: groups * blocks,
          item(index, at, machine) {
            const group = Math.floor(index / blocks);
            const first = (index % blocks) * size;
            const count = Math.min(size, columns - first);
            const { wasm, gemm, memory, scratch } = machine;
            const x = at.x! + group * c * pixels * 4;
            const y = at.y! + (group * o * columns + first) * 4;
            im2col(machine, x, u, 0, k, first, count, scratch, count);
            const bias = new Float32Array(memory.buffer, at.b! + group * o * 4, o);
            for (let i = 0; i < o; i++) wasm.fillFloats(y + i * columns * 4, bias[i]!, count);
            gemm(false, false, o, count, k, at.w! + group * o * k * 4, k, scratch, count, true, y, columns);
          },
        },
      ],
    };
  },
};

function im2col(
  { wasm }: Machine,
  x: number,
  u: Uniforms,
  kFirst: number,
  kCount: number,
  first: number,
  count: number,
  out: number,
  ldOut: number,
): void {
  const { h, w, images, ow, kh, kw, stride, pad } = u;
  wasm.im2col(x, h!, w!, images!, ow!, kh!, kw!, stride!, pad!, pad!, kFirst, kCount, first, count, out, ldOut);
}

/**
 * dw[o, k] = Σ over columns of dy[o, column] · col[k, column]. An item owns some rows k of the column matrix, that is
 * columns of dw, and goes through all columns in order, so that no partial sums are left to add up.
 */
const backwardW: CpuKernel = {
  name: "conv2d_backward_w",
  plan(u, context) {
    const { groups, c, o, k, columns, pixels } = sizes(u);
    const rows = Math.max(16, Math.ceil((k * groups) / (4 * context.threads) / 16) * 16);
    const parts = Math.ceil(k / rows);
    const size = blockColumns(columns, rows, { ...context, threads: 1 });
    return {
      scratch: rows * size * 4,
      stages: [
        {
          items: groups * parts,
          item(index, at, machine) {
            const group = Math.floor(index / parts);
            const kFirst = (index % parts) * rows;
            const kCount = Math.min(rows, k - kFirst);
            const x = at.x! + group * c * pixels * 4;
            const dy = at.dy! + group * o * columns * 4;
            const dw = at.dw! + (group * o * k + kFirst) * 4;
            const { gemm, scratch } = machine;
            for (let first = 0; first < columns; first += size) {
              const count = Math.min(size, columns - first);
              im2col(machine, x, u, kFirst, kCount, first, count, scratch, count);
              gemm(false, true, o, kCount, count, dy + first * 4, columns, scratch, count, first > 0, dw, k);
            }
          },
        },
      ],
    };
  },
};

export const convolutionKernels: readonly CpuKernel[] = [forward, backwardW];
