/**
 * Max and average pooling with windows that may overlap, paper §3.4 (window 3, stride 2). The output size is rounded up
 * or down; a window that hangs over the edge, or begins in the padding, pools only the pixels inside.
 *
 *   max:     y[c, p, q, n] = x at the first largest pixel of the window, in row-major order; at the last that is NaN, if
 *            one is, as in PyTorch
 *   average: y[c, p, q, n] = Σ x over the window / number of its pixels inside the image
 *
 * x: C × H × W × N, y: C × OH × OW × N. Each input pixel gathers its gradient from the windows that cover it.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireWhole, type OptionKinds } from "../../options.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, u32s } from "../kernel.ts";
import { record } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { activationBefore, passesGradient } from "./later/epilogue.ts";
import { imageShape, positions } from "./shapes.ts";
import maxForwardWgsl from "../../../kernels/wgsl/max_pool_forward.wgsl" with { type: "text" };
import maxBackwardWgsl from "../../../kernels/wgsl/max_pool_backward.wgsl" with { type: "text" };
import averageForwardWgsl from "../../../kernels/wgsl/average_pool_forward.wgsl" with { type: "text" };
import averageBackwardWgsl from "../../../kernels/wgsl/average_pool_backward.wgsl" with { type: "text" };

export interface PoolOptions {
  readonly window: number;
  readonly stride: number;
  /** How the output size is rounded; cuda-convnet rounds up, PyTorch down. */
  readonly round?: "up" | "down";
  /** How far the first windows begin outside the image, on each side; at most half a window. 0 if not given. */
  readonly pad?: number;
}

/** @throws ShapeError when the window is larger than the image; UsageError for an option that is unknown or missing */
export function maxPool(x: Tensor, options: PoolOptions): Tensor {
  const tape = tapeFor("maxPool", { x });
  const u = poolUniforms("maxPool", x, options);
  const shape = [u.c, u.oh, u.ow, u.images];
  const y = tape.like(x, shape);
  const argmax = tape.allocate(shape, "u32");
  const activation = activationBefore(x);
  x.backend.run(maxPoolForward, { x: x.buffer, y: y.buffer, argmax: argmax.buffer }, { ...u, activation });
  tape.record({
    inputs: [x],
    output: y,
    saved: [argmax],
    reads: [],
    backward: (dy) =>
      tape.accumulate(
        x,
        (dx) => x.backend.run(maxPoolBackward, { dy: dy.buffer, argmax: argmax.buffer, dx: dx.buffer }, u),
        activation !== 0,
      ),
  });
  return y;
}

/** @throws ShapeError when the window is larger than the image; UsageError for an option that is unknown or missing */
export function averagePool(x: Tensor, options: PoolOptions): Tensor {
  const tape = tapeFor("averagePool", { x });
  const u = poolUniforms("averagePool", x, options);
  const y = tape.like(x, [u.c, u.oh, u.ow, u.images]);
  x.backend.run(averagePoolForward, { x: x.buffer, y: y.buffer }, u);
  return record(y, [x, (dx, dy) => x.backend.run(averagePoolBackward, { dy: dy.buffer, dx: dx.buffer }, u)]);
}

type PoolUniforms = Readonly<Record<keyof typeof uniforms, number>>;

const OPTIONS: OptionKinds<PoolOptions> = { window: "number", stride: "number", round: "string?", pad: "number?" };

/** @throws ShapeError or UsageError for invalid options */
export function checkPool(op: string, options: PoolOptions): void {
  checkOptions(op, options, OPTIONS);
  const { window, stride, round = "up", pad = 0 } = options;
  requireWhole(op, { window, stride });
  requireWhole(op, { pad }, 0);
  if (round !== "up" && round !== "down")
    throw new ShapeError(`${op}: round is "${String(round)}", must be up or down`);
  // As in PyTorch.
  if (2 * pad > window)
    throw new ShapeError(`${op}: pad ${pad}, window ${window}: pad must be at most half the window`);
}

/** What the kernels are told. @throws as `maxPool` */
export function poolUniforms(op: string, x: Tensor, options: PoolOptions): PoolUniforms {
  checkPool(op, options);
  const { window, stride, round = "up", pad = 0 } = options;
  const [c, h, w, images] = imageShape(op, x);
  if (window > Math.min(h, w) + 2 * pad) {
    const padding = pad === 0 ? "" : ` with a padding of ${pad}`;
    throw new ShapeError(`${op}: a window of ${window} × ${window} does not fit an image of ${h} × ${w}${padding}`);
  }
  const oh = positions(h, window, stride, pad, round);
  const ow = positions(w, window, stride, pad, round);
  return { images, c, h, w, oh, ow, window, stride, pad };
}

const uniforms = u32s("images", "c", "h", "w", "oh", "ow", "window", "stride", "pad");

/** In place of a pixel that gets no gradient. */
const NONE = 2 ** 32 - 1;

export const maxPoolForward = kernel({
  name: "max_pool_forward",
  module: import.meta.url,
  wgsl: maxForwardWgsl,
  // argmax: the largest pixel, row · W + column; none (2³² − 1) if x was activated there without a slope.
  buffers: { x: "read", y: "write", argmax: "write u32" },
  // activation: that of x, 0 for none.
  uniforms: { ...uniforms, ...u32s("activation") },
  workgroups: ({ images, c, oh, ow }) => line(c * oh * ow * images),
  reference({ x, y, argmax }, u) {
    eachWindow(u, (c, out, rows, columns) => {
      for (let n = 0; n < u.images; n++) {
        let best = -Infinity;
        let winner = rows[0] * u.w + columns[0];
        for (let row = rows[0]; row < rows[1]; row++) {
          for (let column = columns[0]; column < columns[1]; column++) {
            const value = x[((c * u.h + row) * u.w + column) * u.images + n]!;
            if (value > best || Number.isNaN(value)) [best, winner] = [value, row * u.w + column];
          }
        }
        y[out * u.images + n] = x[(c * u.h * u.w + winner) * u.images + n]!;
        argmax[out * u.images + n] = passesGradient(best, u.activation) ? winner : NONE;
      }
    });
  },
});

export const maxPoolBackward = kernel({
  name: "max_pool_backward",
  module: import.meta.url,
  wgsl: maxBackwardWgsl,
  buffers: { dy: "read", argmax: "read u32", dx: "write" },
  uniforms,
  workgroups: ({ images, c, h, w }) => line(c * h * w * images),
  reference({ dy, argmax, dx }, u) {
    for (let i = 0; i < u.c * u.h * u.w * u.images; i++) dx[i] = 0;
    eachWindow(u, (c, out) => {
      for (let n = 0; n < u.images; n++) {
        const winner = argmax[out * u.images + n]!;
        if (winner !== NONE) dx[(c * u.h * u.w + winner) * u.images + n]! += dy[out * u.images + n]!;
      }
    });
  },
});

export const averagePoolForward = kernel({
  name: "average_pool_forward",
  module: import.meta.url,
  wgsl: averageForwardWgsl,
  buffers: { x: "read", y: "write" },
  uniforms,
  workgroups: ({ images, c, oh, ow }) => line(c * oh * ow * images),
  reference({ x, y }, u) {
    eachWindow(u, (c, out, rows, columns) => {
      const inside = (rows[1] - rows[0]) * (columns[1] - columns[0]);
      for (let n = 0; n < u.images; n++) {
        let sum = 0;
        for (let row = rows[0]; row < rows[1]; row++) {
          for (let column = columns[0]; column < columns[1]; column++) {
            sum += x[((c * u.h + row) * u.w + column) * u.images + n]!;
          }
        }
        y[out * u.images + n] = sum / inside;
      }
    });
  },
});

export const averagePoolBackward = kernel({
  name: "average_pool_backward",
  module: import.meta.url,
  wgsl: averageBackwardWgsl,
  buffers: { dy: "read", dx: "write" },
  uniforms,
  workgroups: ({ images, c, h, w }) => line(c * h * w * images),
  reference({ dy, dx }, u) {
    for (let i = 0; i < u.c * u.h * u.w * u.images; i++) dx[i] = 0;
    eachWindow(u, (c, out, rows, columns) => {
      const inside = (rows[1] - rows[0]) * (columns[1] - columns[0]);
      for (let row = rows[0]; row < rows[1]; row++) {
        for (let column = columns[0]; column < columns[1]; column++) {
          for (let n = 0; n < u.images; n++) {
            dx[((c * u.h + row) * u.w + column) * u.images + n]! += dy[out * u.images + n]! / inside;
          }
        }
      }
    });
  },
});

type Range = readonly [first: number, end: number];

/** Visits every window: its map, output position (in units of N), and rows and columns inside the image. */
function eachWindow(u: PoolUniforms, visit: (c: number, out: number, rows: Range, columns: Range) => void): void {
  for (let out = 0, c = 0; c < u.c; c++) {
    for (let p = 0; p < u.oh; p++) {
      const rows = inside(p, u.h, u);
      for (let q = 0; q < u.ow; q++, out++) visit(c, out, rows, inside(q, u.w, u));
    }
  }
}

/** A window's pixels along one side, those inside the image. */
function inside(at: number, side: number, { window, stride, pad }: PoolUniforms): Range {
  const start = at * stride - pad;
  return [Math.max(start, 0), Math.min(start + window, side)];
}
