/**
 * Depthwise convolution: each map has one filter of its own (MobileNet, arXiv 1704.04861 §3.1). `conv2d` computes it so
 * where it has as many groups and filters as maps, since matrix products of one row would be slow:
 *
 *   y[c, p, q, n]  = b[c] + Σ_{i, j} weights[c, i, j] · x[c, p·stride + i − pad, q·stride + j − pad, n]
 *   dx[c, r, s, n] = Σ_{i, j} weights[c, i, j] · dy[c, p, q, n],  p·stride + i − pad = r, q·stride + j − pad = s
 *   dw[c, i, j]    = Σ_{p, q, n} dy[c, p, q, n] · x[c, p·stride + i − pad, q·stride + j − pad, n]
 *
 * where x is zero outside the image; y is scaled and activated as conv2d's. x: C × H × W × N, weights: C × KH × KW, b: C, y: C × OH × OW × N.
 */
import type { Backend, Buffer } from "../../backend.ts";
import { kernel, line, u32s } from "../../kernel.ts";
import { activated, type Epilogue } from "./epilogue.ts";
import { eachWindowTap } from "../shapes.ts";
import { chooseSplits, runSplit, termsPerSplit } from "../split.ts";
import backwardWWgsl from "../../../../kernels/wgsl/depthwise_backward_w.wgsl" with { type: "text" };
import backwardXWgsl from "../../../../kernels/wgsl/depthwise_backward_x.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/depthwise_forward.wgsl" with { type: "text" };

/** Queue the kernels of a convolution and of its gradients. */
export interface Passes {
  forward(given: Readonly<Record<"x" | "w" | "s" | "b" | "y", Buffer>>, epilogue: Epilogue): void;
  backwardX(given: Readonly<Record<"w" | "dy" | "dx", Buffer>>): void;
  backwardW(given: Readonly<Record<"x" | "dy" | "dw", Buffer>>): void;
}

const uniforms = u32s("images", "c", "h", "w", "oh", "ow", "kh", "kw", "stride", "pad");
type Sizes = Readonly<Record<keyof typeof uniforms, number>>;

/** Whether a convolution is depthwise. */
export function suitsDepthwise({ c, o, groups }: Readonly<Record<"c" | "o" | "groups", number>>): boolean {
  return groups > 1 && c === groups && o === groups;
}

export function depthwise(backend: Backend, sizes: Sizes): Passes {
  const { images, c, oh, ow, kh, kw } = sizes;
  return {
    forward: ({ w, ...given }, epilogue) =>
      backend.run(depthwiseForward, { ...given, weights: w }, { ...sizes, ...epilogue }),
    backwardX: ({ w, ...given }) => backend.run(depthwiseBackwardX, { ...given, weights: w }, sizes),
    backwardW({ dw, ...given }) {
      const splits = chooseSplits(backend, 1, kw, c * kh, oh * ow * images);
      runSplit(backend, splits, dw, (into) =>
        backend.run(depthwiseBackwardW, { ...given, dw: into }, { ...sizes, splits }),
      );
    },
  };
}

export const depthwiseForward = kernel({
  name: "depthwise_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", weights: "read", s: "read", b: "read", y: "write" },
  uniforms: { ...uniforms, ...u32s("scaled", "activation") },
  workgroups: ({ images, c, oh, ow }) => line(c * oh * ow * images),
  reference({ x, weights, s, b, y }, u) {
    eachOutput(u, (at, n, c, p, q) => {
      let sum = 0;
      eachTap(u, c, p, q, (weight, pixel) => (sum += weights[weight]! * x[pixel * u.images + n]!));
      y[at] = activated((u.scaled ? s[c]! : 1) * sum + b[c]!, u.activation);
    });
  },
});

export const depthwiseBackwardX = kernel({
  name: "depthwise_backward_x",
  module: import.meta.url,
  wgsl: backwardXWgsl,
  buffers: { weights: "read", dy: "read", dx: "write" },
  uniforms,
  workgroups: ({ images, c, h, w }) => line(c * h * w * images),
  reference({ weights, dy, dx }, u) {
    for (let i = 0; i < u.c * u.h * u.w * u.images; i++) dx[i] = 0;
    eachOutput(u, (at, n, c, p, q) => {
      eachTap(u, c, p, q, (weight, pixel) => (dx[pixel * u.images + n]! += weights[weight]! * dy[at]!));
    });
  },
});

export const depthwiseBackwardW = kernel({
  name: "depthwise_backward_w",
  module: import.meta.url,
  wgsl: backwardWWgsl,
  buffers: { x: "read", dy: "read", dw: "write" },
  // splits: dw holds that many arrays, whose sum is the result; see split.ts.
  uniforms: { ...uniforms, splits: "u32" },
  // One workgroup for four neighbours in a row of a window.
  workgroups: ({ c, kh, kw, splits }) => line(splits * c * kh * Math.ceil(kw / 4), 1),
  reference({ x, dy, dw }, u) {
    const weights = u.c * u.kh * u.kw;
    const outputs = u.oh * u.ow * u.images;
    const terms = termsPerSplit(outputs, u.splits);
    for (let i = 0; i < u.splits * weights; i++) dw[i] = 0;
    eachOutput(u, (at, n, c, p, q) => {
      const first = Math.floor((at % outputs) / terms) * weights;
      eachTap(u, c, p, q, (weight, pixel) => (dw[first + weight]! += x[pixel * u.images + n]! * dy[at]!));
    });
  },
});

/** Visits each element of y: its index and its place. */
function eachOutput(u: Sizes, visit: (at: number, n: number, c: number, p: number, q: number) => void): void {
  for (let at = 0, c = 0; c < u.c; c++) {
    for (let p = 0; p < u.oh; p++) {
      for (let q = 0; q < u.ow; q++) for (let n = 0; n < u.images; n++, at++) visit(at, n, c, p, q);
    }
  }
}

function eachTap(u: Sizes, c: number, p: number, q: number, visit: (weight: number, pixel: number) => void): void {
  eachWindowTap(u, c, { first: c, count: 1 }, p, q, visit);
}
