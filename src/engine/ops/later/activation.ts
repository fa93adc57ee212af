/**
 * Activation functions since 2012, elementwise, for tensors of any shape; s(x) = 1 / (1 + e^−x):
 *
 *   relu6       min(max(0, x), 6)                           arXiv 1704.04861
 *   sigmoid     s(x)
 *   silu        x · s(x)                                    arXiv 1606.08415, 1702.03118
 *   gelu        x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2      arXiv 1606.08415
 *   geluTanh    x · s(2u), u = √(2/π) · (x + 0.044715 x³)   … its approximation, x · (1 + tanh u) / 2
 *   hardSwish   x · min(max(0, (x + 3) / 6), 1)             arXiv 1905.02244
 *
 * Their gradients need the input. Where a function has a corner, its slope there is 0, except that hardSwish's at 3 is 1.
 * NaN stays NaN in each of them, and the gradient of ReLU6 passes where x is NaN.
 */
import { FOUR_BITS } from "../../kernel.ts";
import { kernels, pointwise, type Text } from "../activation.ts";
import type { Tensor } from "../../tensor.ts";
import backwardWgsl from "../../../../kernels/wgsl/activation_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/activation_forward.wgsl" with { type: "text" };

/** min(max(0, x), 6), PyTorch's `relu6`. */
export function relu6(x: Tensor): Tensor {
  return pointwise("relu6", x, relu6Forward, relu6Backward, "x");
}

/** The logistic function, 1 / (1 + e^−x). */
export function sigmoid(x: Tensor): Tensor {
  return pointwise("sigmoid", x, sigmoidForward, sigmoidBackward, "x");
}

/** x · sigmoid(x), PyTorch's `silu`, also called Swish. */
export function silu(x: Tensor): Tensor {
  return pointwise("silu", x, siluForward, siluBackward, "x");
}

/** x times the normal distribution function of x: PyTorch's `gelu`. */
export function gelu(x: Tensor): Tensor {
  return pointwise("gelu", x, geluForward, geluBackward, "x");
}

/** The approximation of `gelu` by tanh: PyTorch's with `approximate="tanh"`. */
export function geluTanh(x: Tensor): Tensor {
  return pointwise("geluTanh", x, geluTanhForward, geluTanhBackward, "x");
}

/** x · relu6(x + 3) / 6, PyTorch's `hardswish`. */
export function hardSwish(x: Tensor): Tensor {
  return pointwise("hardSwish", x, hardSwishForward, hardSwishBackward, "x");
}

export const [relu6Forward, relu6Backward] = kernels(
  ofInput("relu6", 0),
  (x) => Math.min(Math.max(0, x), 6),
  (x, dy) => (x <= 0 || x >= 6 ? 0 : dy),
);

export const [sigmoidForward, sigmoidBackward] = kernels(
  ofInput("sigmoid", 1),
  logistic,
  (x, dy) => dy * logisticSlope(x),
);

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

/** @param number FUNCTION in the WGSL that these functions share */
function ofInput(name: string, number: number): Text<"x"> {
  const text = { forward: forwardWgsl, backward: backwardWgsl, constants: { FUNCTION: number } };
  return { name, module: import.meta.url, ...text, four: FOUR_BITS, from: "x" };
}

/** The kernels of x · g(x), whose derivative is g(x) + x · g'(x). */
function gated(name: string, number: number, g: (x: number) => number, slope: (x: number) => number) {
  const gradient = (x: number, dy: number) => dy * (g(x) + x * slope(x));
  return kernels(ofInput(name, number), (x) => x * g(x), gradient);
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
