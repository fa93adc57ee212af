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

/**
 * The input gradient is itself a convolution of stride 1, of dy with the filters turned by 180° and c and o exchanged;
 * with a larger stride it is stride² of them, one for the pixels of each phase: x ≡ phase (mod stride) is reached only by
 * every stride-th tap of the window. Along one side, with first the phase's first tap and taps their number,
 *
 *   dx[phase + stride · t] = Σ_a w[first + stride · (taps − 1 − a)] · dy[t + a − pad],  pad = taps − 1 − ⌊(phase + pad) / stride⌋
 */
interface Phase {
  readonly phase: number;
  readonly first: number;
  readonly taps: number;
  readonly pad: number;
  /** How many pixels there are of this phase. */
  readonly pixels: number;
}

function phases(side: number, window: number, stride: number, pad: number): Phase[] {
  return Array.from({ length: Math.min(stride, side) }, (_, phase) => {
    const first = (phase + pad) % stride;
    const taps = Math.max(0, Math.ceil((window - first) / stride));
    const pixels = Math.ceil((side - phase) / stride);
    return { phase, first, taps, pad: taps - 1 - Math.floor((phase + pad) / stride), pixels };
  });
}

const backwardX: CpuKernel = {
  name: "conv2d_backward_x",
  plan(u, context) {
    const { groups, c, o, columns, pixels } = sizes(u);
    const [kh, kw, stride, images] = [u.kh!, u.kw!, u.stride!, u.images!];
    let [weights, items, scratch] = [0, 0, 0];
    const parts = phases(u.h!, kh, stride, u.pad!).flatMap((y) =>
      phases(u.w!, kw, stride, u.pad!).map((x) => {
        const k = o * y.taps * x.taps;
        const total = y.pixels * x.pixels * images;
        const size = blockColumns(total, Math.max(1, k), context);
        const part = { y, x, k, total, size, weights, firstItem: items, blocks: Math.ceil(total / size) };
        weights += groups * c * k * 4;
        items += part.blocks;
        scratch = Math.max(scratch, (k + (stride > 1 ? c : 0)) * size * 4);
        return part;
      }),
    );
    return {
      shared: weights,
      scratch,
      stages: [
        {
          items: groups * c,
          item(index, at, { memory, shared }) {
            const w = new Float32Array(memory.buffer, at.w!, u.o! * c * kh * kw);
            const turned = new Float32Array(memory.buffer, shared, weights / 4);
            const group = Math.floor(index / c);
            for (const { y, x, k, weights } of parts) {
              let to = weights / 4 + index * k;
              for (let f = group * o; f < (group + 1) * o; f++) {
                const filter = (f * c + (index % c)) * kh * kw;
                for (let i = y.first + stride * (y.taps - 1); i >= 0; i -= stride) {
                  for (let j = x.first + stride * (x.taps - 1); j >= 0; j -= stride) {
                    turned[to++] = w[filter + i * kw + j]!;
                  }
                }
              }
            }
          },
        },
        {
          items: groups * items,
          item(index, at, { wasm, gemm, shared, scratch }) {
            const group = Math.floor(index / items);
            const inGroup = index % items;
            const part = parts.findLast(({ firstItem }) => firstItem <= inGroup)!;
            const { y, x, k, total, size } = part;
            const first = (inGroup - part.firstItem) * size;
            const count = Math.min(size, total - first);
            const dy = at.dy! + group * o * columns * 4;
            const dx = at.dx! + group * c * pixels * 4;
            const w = shared + part.weights + group * c * k * 4;
            const [oh, ow] = [u.oh!, u.ow!];
            wasm.im2col(
              dy,
              oh,
              ow,
              images,
              x.pixels,
              y.taps,
              x.taps,
              1,
              y.pad,
              x.pad,
              0,
              k,
              first,
              count,
              scratch,
              count,
            );
            if (stride === 1) {
              gemm(false, false, c, count, k, w, k, scratch, count, false, dx + first * 4, pixels);
              return;
            }
            const result = scratch + k * size * 4;
            gemm(false, false, c, count, k, w, k, scratch, count, false, result, count);
            for (let map = 0; map < c; map++) {
              for (let from = 0; from < count;) {
                // a run of images of one pixel
                const pixel = Math.floor((first + from) / images);
                const n = (first + from) % images;
                const run = Math.min(images - n, count - from);
                const row = y.phase + stride * Math.floor(pixel / x.pixels);
                const column = x.phase + stride * (pixel % x.pixels);
                const to = dx + (map * pixels + (row * u.w! + column) * images + n) * 4;
                wasm.copyFloats(to, result + (map * count + from) * 4, run);
                from += run;
              }
            }
          },
        },
      ],
    };
  },
};

export const convolutionKernels: readonly CpuKernel[] = [forward, backwardX, backwardW];
