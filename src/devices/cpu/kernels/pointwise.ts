/** Convolution with a 1 × 1 window: x itself is the column matrix, and products take it where it is. */
import type { Plan, Uniforms } from "../kernel.ts";

/** Whether a window sees just its own pixel, so that x is the column matrix. */
export function isPointwise({ kh, kw, stride, h, w, oh, ow }: Uniforms): boolean {
  return kh === 1 && kw === 1 && stride === 1 && oh === h && ow === w;
}

/** Bytes of a block of columns of x and y: about a core's second-level cache. */
const BLOCK_BYTES = 512 << 10;

/** The number of columns, pixels times images, in a block. */
export function pointwiseColumns(u: Uniforms, threads: number): number {
  const fits = Math.floor(BLOCK_BYTES / (4 * ((u.c! + u.o!) / u.groups!)));
  const fair = Math.ceil((u.h! * u.w! * u.images! * u.groups!) / (4 * threads));
  return Math.ceil(Math.max(64, Math.min(fits, fair)) / 16) * 16;
}

/** dx = wᵀ · dy, without col2im. */
export function pointwiseBackwardX(u: Uniforms, threads: number): Plan {
  const [groups, columns] = [u.groups!, u.h! * u.w! * u.images!];
  const [c, o] = [u.c! / groups, u.o! / groups];
  const size = pointwiseColumns(u, threads);
  const blocks = Math.ceil(columns / size);
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
