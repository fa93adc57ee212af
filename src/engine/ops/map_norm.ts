/**
 * Response normalisation within each map: the sum runs over a square window of pixels instead of neighbouring maps.
 * This is cuda-convnet's "rnorm" layer: the second normalisation after conv2 in the 2012 program, and that of the
 * CIFAR-10 nets.
 *
 *   s[c, y, x, n] = k + α Σ_{i, j} x[c, y+i, x+j, n]²,  −⌊size/2⌋ ≤ i, j ≤ ⌊size/2⌋ inside the image
 *   y = x · s^−β
 *   dx = dy · s^−β − 2αβ · x Σ_{i, j} (dy · x · s^−(β+1))[c, y+i, x+j, n]
 *
 * x, y, s: C × H × W × N.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireNumber, requireWhole, type OptionKinds } from "../../options.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, u32s } from "../kernel.ts";
import type { Tensor } from "../tensor.ts";
import { imageShape } from "./shapes.ts";
import forwardWgsl from "../../../kernels/wgsl/map_norm_forward.wgsl" with { type: "text" };
import backwardWgsl from "../../../kernels/wgsl/map_norm_backward.wgsl" with { type: "text" };

export interface MapNormOptions {
  /** Side of the window, odd. */
  readonly size: number;
  readonly k: number;
  readonly alpha: number;
  readonly beta: number;
}

const OPTIONS: OptionKinds<MapNormOptions> = { size: "number", k: "number", alpha: "number", beta: "number" };

/** @throws ShapeError or UsageError for invalid options */
export function checkMapNorm(op: string, options: MapNormOptions): void {
  checkOptions(op, options, OPTIONS);
  const { size, k, alpha, beta } = options;
  requireWhole(op, { size });
  requireNumber(op, { k, alpha, beta });
}

/** @throws ShapeError when `size` is even; UsageError for an option that is unknown or missing */
export function mapNorm(x: Tensor, options: MapNormOptions): Tensor {
  const tape = tapeFor("mapNorm", { x });
  checkMapNorm("mapNorm", options);
  const { size, k, alpha, beta } = options;
  const [c, h, w, images] = imageShape("mapNorm", x);
  if (size % 2 !== 1) throw new ShapeError(`mapNorm: window of ${size}, must be odd`);
  const [y, s] = [tape.like(x), tape.like(x)];
  const uniforms = { images, c, h, w, reach: (size - 1) / 2, k, alpha, beta };
  x.backend.run(mapNormForward, { x: x.buffer, y: y.buffer, s: s.buffer }, uniforms);
  tape.record({
    inputs: [x],
    output: y,
    saved: [s],
    backward: (dy) =>
      tape.accumulate(x, (dx) =>
        x.backend.run(mapNormBackward, { x: x.buffer, s: s.buffer, dy: dy.buffer, dx: dx.buffer }, uniforms),
      ),
  });
  return y;
}

const uniforms = { ...u32s("images", "c", "h", "w", "reach"), k: "f32", alpha: "f32", beta: "f32" } as const;

export const mapNormForward = kernel({
  name: "map_norm_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", y: "write", s: "write" },
  uniforms,
  workgroups: ({ images, c, h, w }) => line(c * h * w * images),
  reference({ x, y, s }, u) {
    eachPixel(u, (at, around) => {
      let sum = 0;
      around((j) => (sum += x[j]! ** 2));
      s[at] = u.k + u.alpha * sum;
      y[at] = x[at]! * (u.k + u.alpha * sum) ** -u.beta;
    });
  },
});

export const mapNormBackward = kernel({
  name: "map_norm_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { x: "read", s: "read", dy: "read", dx: "write" },
  uniforms,
  workgroups: ({ images, c, h, w }) => line(c * h * w * images),
  reference({ x, s, dy, dx }, u) {
    eachPixel(u, (at, around) => {
      let sum = 0;
      around((j) => (sum += dy[j]! * x[j]! * s[j]! ** -(u.beta + 1)));
      dx[at] = dy[at]! * s[at]! ** -u.beta - 2 * u.alpha * u.beta * x[at]! * sum;
    });
  },
});

/** Visits every element with its index and a loop over the indices of its window. */
function eachPixel(
  u: Readonly<Record<keyof typeof uniforms, number>>,
  visit: (at: number, around: (each: (index: number) => void) => void) => void,
): void {
  for (let c = 0; c < u.c; c++) {
    for (let y = 0; y < u.h; y++) {
      for (let x = 0; x < u.w; x++) {
        for (let n = 0; n < u.images; n++) {
          visit(((c * u.h + y) * u.w + x) * u.images + n, (each) => {
            for (let row = Math.max(0, y - u.reach); row <= Math.min(u.h - 1, y + u.reach); row++) {
              for (let column = Math.max(0, x - u.reach); column <= Math.min(u.w - 1, x + u.reach); column++) {
                each(((c * u.h + row) * u.w + column) * u.images + n);
              }
            }
          });
        }
      }
    }
  }
}
