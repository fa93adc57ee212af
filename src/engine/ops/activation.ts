/**
 * Activation functions, element by element, for tensors of any shape; s(x) = 1 / (1 + e^−x):
 *
 *   relu        max(0, x)                                   paper §3.1
 *   tanh        tanh x
 *   relu6       min(max(0, x), 6)                           arXiv 1704.04861
 *   sigmoid     s(x)
 *   silu        x · s(x)                                    arXiv 1606.08415, 1702.03118
 *   gelu        x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2      arXiv 1606.08415
 *   geluTanh    x · s(2u), u = √(2/π) · (x + 0.044715 x³)   … its approximation, x · (1 + tanh u) / 2
 *   hardSwish   x · min(max(0, (x + 3) / 6), 1)             arXiv 1905.02244
 *
 * The gradients of the first two need only the output, dx = 0 where y ≤ 0, else dy, and dx = dy · (1 − y²); those of the
 * others need the input. Where a function has a corner, its slope there is 0, except that hardSwish's at 3 is 1.
 *
 * NaN stays NaN in each of them, and the gradients of ReLU and ReLU6 pass where x is NaN.
 */
import { view, type BufferView } from "../backend.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, type Kernel } from "../kernel.ts";
import { pieces } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import backwardWgsl from "../../../kernels/wgsl/activation_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../kernels/wgsl/activation_forward.wgsl" with { type: "text" };
import reluForwardWgsl from "../../../kernels/wgsl/relu_forward.wgsl" with { type: "text" };
import reluBackwardWgsl from "../../../kernels/wgsl/relu_backward.wgsl" with { type: "text" };
import tanhForwardWgsl from "../../../kernels/wgsl/tanh_forward.wgsl" with { type: "text" };
import tanhBackwardWgsl from "../../../kernels/wgsl/tanh_backward.wgsl" with { type: "text" };

/** max(0, x). */
export function relu(x: Tensor): Tensor {
  return pointwise("relu", x, reluForward, "y", reluBackward);
}

/** The hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return pointwise("tanh", x, tanhForward, "y", tanhBackward);
}

/** min(max(0, x), 6), PyTorch's `relu6`. */
export function relu6(x: Tensor): Tensor {
  return pointwise("relu6", x, relu6Forward, "x", relu6Backward);
}

/** The logistic function, 1 / (1 + e^−x). */
export function sigmoid(x: Tensor): Tensor {
  return pointwise("sigmoid", x, sigmoidForward, "x", sigmoidBackward);
}

/** x · sigmoid(x), PyTorch's `silu`, also called Swish. */
export function silu(x: Tensor): Tensor {
  return pointwise("silu", x, siluForward, "x", siluBackward);
}

/** x times the normal distribution function of x: PyTorch's `gelu`. */
export function gelu(x: Tensor): Tensor {
  return pointwise("gelu", x, geluForward, "x", geluBackward);
}

/** The approximation of `gelu` by tanh: PyTorch's with `approximate="tanh"`. */
export function geluTanh(x: Tensor): Tensor {
  return pointwise("geluTanh", x, geluTanhForward, "x", geluTanhBackward);
}

/** x · relu6(x + 3) / 6, PyTorch's `hardswish`. */
export function hardSwish(x: Tensor): Tensor {
  return pointwise("hardSwish", x, hardSwishForward, "x", hardSwishBackward);
}

/** @param from what the gradient is computed from, besides dy */
function pointwise<F extends "x" | "y">(
  op: string,
  x: Tensor,
  forward: Kernel<"x" | "y", "size">,
  from: F,
  backward: Kernel<F | "dy" | "dx", "size">,
): Tensor {
  const tape = tapeFor(op, { x });
  const y = tape.allocate(x.shape);
  const { backend } = x;
  for (const [offset, size] of pieces(x)) {
    backend.run(forward, { x: view(x.buffer, offset, size), y: view(y.buffer, offset, size) }, { size });
  }
  tape.record({
    inputs: [x],
    output: y,
    saved: [],
    backward: (dy) =>
      tape.accumulate(x, (dx) => {
        for (const [offset, size] of pieces(x)) {
          const [given, dyPart, dxPart] = [{ x, y }[from], dy, dx].map(({ buffer }) => view(buffer, offset, size));
          const buffers = { [from]: given!, dy: dyPart!, dx: dxPart! } as Record<F | "dy" | "dx", BufferView>;
          backend.run(backward, buffers, { size });
        }
      }),
  });
  return y;
}

const common = {
  module: import.meta.url,
  uniforms: { size: "u32" },
  workgroups: ({ size }: { size: number }) => line(size),
} as const;

export const reluForward = kernel({
  ...common,
  name: "relu_forward",
  wgsl: reluForwardWgsl,
  buffers: { x: "read", y: "write" },
  reference({ x, y }, { size }) {
    for (let i = 0; i < size; i++) y[i] = Math.max(0, x[i]!);
  },
});

export const reluBackward = kernel({
  ...common,
  name: "relu_backward",
  wgsl: reluBackwardWgsl,
  buffers: { y: "read", dy: "read", dx: "write" },
  reference({ y, dy, dx }, { size }) {
    for (let i = 0; i < size; i++) dx[i] = y[i]! <= 0 ? 0 : dy[i]!;
  },
});

export const tanhForward = kernel({
  ...common,
  name: "tanh_forward",
  wgsl: tanhForwardWgsl,
  buffers: { x: "read", y: "write" },
  reference({ x, y }, { size }) {
    for (let i = 0; i < size; i++) y[i] = Math.tanh(x[i]!);
  },
});

export const tanhBackward = kernel({
  ...common,
  name: "tanh_backward",
  wgsl: tanhBackwardWgsl,
  buffers: { y: "read", dy: "read", dx: "write" },
  reference({ y, dy, dx }, { size }) {
    for (let i = 0; i < size; i++) dx[i] = dy[i]! * (1 - y[i]! ** 2);
  },
});

export const [relu6Forward, relu6Backward] = kernels(
  "relu6",
  0,
  (x) => Math.min(Math.max(0, x), 6),
  (x, dy) => (x <= 0 || x >= 6 ? 0 : dy),
);

export const [sigmoidForward, sigmoidBackward] = kernels("sigmoid", 1, logistic, (x, dy) => dy * logisticSlope(x));

export const [siluForward, siluBackward] = gated("silu", 2, logistic, logisticSlope);

export const [geluForward, geluBackward] = gated("gelu", 3, normal, density);

export const [geluTanhForward, geluTanhBackward] = gated(
  "gelu_tanh",
  4,
  (x) => logistic(twiceU(x)),
  (x) => logisticSlope(twiceU(x)) * Math.sqrt(8 / Math.PI) * (1 + 3 * 0.044715 * x ** 2),
);

export const [hardSwishForward, hardSwishBackward] = gated(
  "hard_swish",
  5,
  (x) => Math.min(Math.max(0, (x + 3) / 6), 1),
  (x) => (Math.abs(x) < 3 ? 1 / 6 : 0),
);

/** The kernels of x · g(x), whose derivative is g(x) + x · g'(x). */
function gated(name: string, number: number, g: (x: number) => number, slope: (x: number) => number) {
  return kernels(
    name,
    number,
    (x) => x * g(x),
    (x, dy) => dy * (g(x) + x * slope(x)),
  );
}

/** @param number of the function, FUNCTION in WGSL */
function kernels(
  name: string,
  number: number,
  value: (x: number) => number,
  gradient: (x: number, dy: number) => number,
) {
  const constants = { FUNCTION: number };
  const forward = kernel({
    ...{ ...common, constants, name: `${name}_forward`, wgsl: forwardWgsl },
    buffers: { x: "read", y: "write" },
    reference({ x, y }, { size }) {
      for (let i = 0; i < size; i++) y[i] = value(x[i]!);
    },
  });
  const backward = kernel({
    ...{ ...common, constants, name: `${name}_backward`, wgsl: backwardWgsl },
    buffers: { x: "read", dy: "read", dx: "write" },
    reference({ x, dy, dx }, { size }) {
      for (let i = 0; i < size; i++) dx[i] = gradient(x[i]!, dy[i]!);
    },
  });
  return [forward, backward] as const;
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function logisticSlope(x: number): number {
  return logistic(x) * logistic(-x);
}

function twiceU(x: number): number {
  return Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);
}

/** Φ(x) in float64: Marsaglia's series (J. Stat. Softw. 11(4), 2004); from ±3 on, Laplace's continued fraction. */
function normal(x: number): number {
  const z = Math.abs(x);
  if (z > 3) {
    let fraction = z;
    for (let k = 100; k > 0; k--) fraction = z + k / fraction;
    const tail = density(x) / fraction;
    return x < 0 ? tail : 1 - tail;
  }
  let [sum, term] = [x, x];
  for (let n = 3; Math.abs(term) > 1e-17; n += 2) sum += term *= x ** 2 / n;
  return 0.5 + sum * density(x);
}

function density(x: number): number {
  return Math.exp(-(x ** 2) / 2) / Math.sqrt(2 * Math.PI);
}
