/** Convolution with a 1 × 1 window: x itself is the column matrix, and each pass is a product on it in place. */
import { withEpilogue } from "./epilogue.ts";
import { addParts, SUMS_BYTES, type Plan, type Stage, type Uniforms } from "../kernel.ts";

/** Whether a window sees just its own pixel, so that x is the column matrix. */
export function isPointwise({ kh, kw, stride, h, w, oh, ow }: Uniforms): boolean {
  return kh === 1 && kw === 1 && stride === 1 && oh === h && ow === w;
}

/** Bytes of a block of columns of x and y: about a core's second-level cache. */
const BLOCK_BYTES = 512 << 10;

/** Sizes of one group, and how its columns, pixels times images, are divided into blocks. */
function cut(u: Uniforms, threads: number) {
  const [groups, columns] = [u.groups!, u.h! * u.w! * u.images!];
  const [c, o] = [u.c! / groups, u.o! / groups];
  const fits = Math.floor(BLOCK_BYTES / (4 * (c + o)));
  const fair = Math.ceil((columns * groups) / (4 * threads));
  const size = Math.ceil(Math.max(64, Math.min(fits, fair)) / 16) * 16;
  return { groups, c, o, columns, size, blocks: Math.ceil(columns / size) };
}

/** y = f(s · w · x + b) */
export function pointwiseForward(u: Uniforms, threads: number): Plan {
  const { groups, c, o, columns, size, blocks } = cut(u, threads);
  return {
    stages: [
      {
        items: groups * blocks,
        item(index, at, machine) {
          const [group, first] = [Math.floor(index / blocks), (index % blocks) * size];
          const count = Math.min(size, columns - first);
          const x = at.x! + (group * c * columns + first) * 4;
          const y = at.y! + (group * o * columns + first) * 4;
          withEpilogue(u, at, machine, { y, pitch: columns, count, first: group * o, filters: o }, (add) =>
            machine.gemm(false, false, o, count, c, at.w! + group * o * c * 4, c, x, columns, add, y, columns),
          );
        },
      },
    ],
  };
}

/** dx = wᵀ · dy */
export function pointwiseBackwardX(u: Uniforms, threads: number): Plan {
  const { groups, c, o, columns, size, blocks } = cut(u, threads);
  return {
    stages: [
      {
        items: groups * blocks,
        item(index, at, { gemm }) {
          const [group, first] = [Math.floor(index / blocks), (index % blocks) * size];
          const count = Math.min(size, columns - first);
          const dx = at.dx! + (group * c * columns + first) * 4;
          const dy = at.dy! + (group * o * columns + first) * 4;
          gemm(true, false, c, count, o, at.w! + group * o * c * 4, c, dy, columns, false, dx, columns);
        },
      },
    ],
  };
}

/** dw = dy · xᵀ. An item is a chunk of the blocks; the chunks' sums are added in order. */
export function pointwiseBackwardW(u: Uniforms, threads: number): Plan {
  const { groups, c, o, columns, size, blocks } = cut(u, threads);
  const weights = groups * o * c;
  const wanted = Math.min(Math.ceil((4 * threads) / groups), 1 + Math.floor(SUMS_BYTES / (4 * weights)));
  const chunkBlocks = Math.ceil(blocks / wanted);
  const chunks = Math.ceil(blocks / chunkBlocks);
  const multiply: Stage = {
    items: groups * chunks,
    item(index, at, { gemm, shared }) {
      const [group, chunk] = [Math.floor(index / chunks), index % chunks];
      const x = at.x! + group * c * columns * 4;
      const dy = at.dy! + group * o * columns * 4;
      const sums = (chunk === 0 ? at.dw! : shared + (chunk - 1) * weights * 4) + group * o * c * 4;
      const start = chunk * chunkBlocks * size;
      const end = Math.min(columns, start + chunkBlocks * size);
      for (let first = start; first < end; first += size) {
        const count = Math.min(size, end - first);
        gemm(false, true, o, c, count, dy + first * 4, columns, x + first * 4, columns, first > start, sums, c);
      }
    },
  };
  return {
    shared: (chunks - 1) * weights * 4,
    stages:
      chunks === 1
        ? [multiply]
        : [multiply, addParts(weights, chunks - 1, (at, { shared }) => ({ to: at.dw!, from: shared }))],
  };
}
