/**
 * A locally connected layer: a convolution whose filters are not shared between positions (cuda-convnet's "local"
 * layer, used by the 2012 CIFAR-10 network with 13% test error):
 *
 *   y[o, p, q, n] = b[o, p, q] + Σ_{c, i, j} w[o, p, q, c, i, j] · x[c, p·stride + i − pad, q·stride + j − pad, n]
 *
 * x: C × H × W × N, w: O × OH × OW × C × KH × KW, b: O × OH × OW, y: O × OH × OW × N.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireWhole } from "../../options.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, u32s } from "../kernel.ts";
import { format, type Tensor } from "../tensor.ts";
import { accumulateRowSums } from "./row_sum.ts";
import { eachWindowTap, imageShape, padBefore, positions, requirePadding, type Padding } from "./shapes.ts";
import forwardWgsl from "../../../kernels/wgsl/local2d_forward.wgsl" with { type: "text" };
import backwardXWgsl from "../../../kernels/wgsl/local2d_backward_x.wgsl" with { type: "text" };
import backwardWWgsl from "../../../kernels/wgsl/local2d_backward_w.wgsl" with { type: "text" };

/** @throws ShapeError when the shapes don't fit; UsageError for an unknown option */
export function local2d(x: Tensor, w: Tensor, b: Tensor, options: { stride?: number; pad?: Padding } = {}): Tensor {
  const tape = tapeFor("local2d", { x, w, b });
  checkOptions("local2d", options, { stride: "number?", pad: "any?" });
  const { stride = 1, pad = 0 } = options;
  requireWhole("local2d", { stride });
  requirePadding("local2d", pad);
  const [c, h, width, images] = imageShape("local2d", x);
  const [o = 0, oh = 0, ow = 0, maps = 0, kh = 0, kw = 0] = w.shape;
  const fits =
    w.shape.length === 6 &&
    maps === c &&
    oh === positions(h, kh, stride, pad, "down") &&
    ow === positions(width, kw, stride, pad, "down");
  if (!fits || b.size !== o * oh * ow) {
    throw new ShapeError(
      `local2d: input ${format(x.shape)}, weights ${format(w.shape)}, bias ${format(b.shape)}, stride ${stride}, ` +
        `padding ${pad}: need weights O × OH × OW × ${c} × KH × KW for every output position, and O × OH × OW biases`,
    );
  }
  const before = padBefore("local2d", [h, width], [kh, kw], stride, pad);
  const y = tape.like(x, [o, oh, ow, images]);
  const uniforms = { images, c, h, w: width, o, oh, ow, kh, kw, stride, pad: before };
  const { backend } = x;
  backend.run(local2dForward, { x: x.buffer, w: w.buffer, b: b.buffer, y: y.buffer }, uniforms);
  tape.record({
    inputs: [x, w, b],
    output: y,
    saved: [],
    backward(dy) {
      tape.accumulate(w, (dw) =>
        backend.run(local2dBackwardW, { x: x.buffer, dy: dy.buffer, dw: dw.buffer }, uniforms),
      );
      accumulateRowSums(tape, b, dy);
      tape.accumulate(x, (dx) =>
        backend.run(local2dBackwardX, { w: w.buffer, dy: dy.buffer, dx: dx.buffer }, uniforms),
      );
    },
  });
  return y;
}

const uniforms = u32s("images", "c", "h", "w", "o", "oh", "ow", "kh", "kw", "stride", "pad");

export const local2dForward = kernel({
  name: "local2d_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", w: "read", b: "read", y: "write" },
  uniforms,
  workgroups: ({ images, o, oh, ow }) => line(o * oh * ow * images),
  reference({ x, w, b, y }, u) {
    for (let at = 0; at < u.o * u.oh * u.ow; at++) {
      for (let n = 0; n < u.images; n++) {
        let sum = b[at]!;
        eachTap(u, at, (weight, pixel) => (sum += w[weight]! * x[pixel * u.images + n]!));
        y[at * u.images + n] = sum;
      }
    }
  },
});

export const local2dBackwardX = kernel({
  name: "local2d_backward_x",
  module: import.meta.url,
  wgsl: backwardXWgsl,
  buffers: { w: "read", dy: "read", dx: "write" },
  uniforms,
  workgroups: ({ images, c, h, w }) => line(c * h * w * images),
  reference({ w, dy, dx }, u) {
    for (let i = 0; i < u.c * u.h * u.w * u.images; i++) dx[i] = 0;
    for (let at = 0; at < u.o * u.oh * u.ow; at++) {
      for (let n = 0; n < u.images; n++) {
        const gradient = dy[at * u.images + n]!;
        eachTap(u, at, (weight, pixel) => (dx[pixel * u.images + n]! += w[weight]! * gradient));
      }
    }
  },
});

export const local2dBackwardW = kernel({
  name: "local2d_backward_w",
  module: import.meta.url,
  wgsl: backwardWWgsl,
  buffers: { x: "read", dy: "read", dw: "write" },
  uniforms,
  workgroups: ({ c, o, oh, ow, kh, kw }) => line(o * oh * ow * c * kh * kw),
  reference({ x, dy, dw }, u) {
    for (let i = 0; i < u.o * u.oh * u.ow * u.c * u.kh * u.kw; i++) dw[i] = 0;
    for (let at = 0; at < u.o * u.oh * u.ow; at++) {
      for (let n = 0; n < u.images; n++) {
        const gradient = dy[at * u.images + n]!;
        eachTap(u, at, (weight, pixel) => (dw[weight]! += x[pixel * u.images + n]! * gradient));
      }
    }
  },
});

/** Visits each product in output position `at`: its index in w, and its pixel in x (in units of N). */
function eachTap(
  u: Readonly<Record<keyof typeof uniforms, number>>,
  at: number,
  visit: (weight: number, pixel: number) => void,
): void {
  eachWindowTap(u, at, { first: 0, count: u.c }, Math.floor(at / u.ow) % u.oh, at % u.ow, visit);
}
