/** The work of a kernel: the arithmetic of its formula, and the bytes of its buffers, each moved once. */
import { ELEMENT_BYTES } from "../../src/engine/backend.ts";
import { access, elementType } from "../../src/engine/kernel.ts";
import type { Call } from "./calls.ts";

export interface Cost {
  /** A multiply-add counts 2. Comparisons and index arithmetic are not counted. */
  readonly flop: number;
  /** Read and written. What a kernel reads several times is assumed to be in a cache. */
  readonly bytes: number;
}

type Given = Omit<Call, "part">;
type Uniforms = Readonly<Record<string, number>>;

export function costOf(call: Given): Cost {
  const flop = FLOP[call.kernel.name]?.(call) ?? 0;
  return { flop, bytes: Object.keys(call.kernel.buffers).reduce((sum, name) => sum + bytesOf(call, name), 0) };
}

/** The bytes of one of a kernel's buffers that it moves. */
export function bytesOf({ kernel, buffers, uniforms }: Given, name: string): number {
  if (uniforms[UNUSED[name] ?? ""] === 0) return 0;
  const spec = kernel.buffers[name]!;
  const { length } = buffers[name]!;
  // Of the pixels, only those of the crop are read.
  if (kernel.name === "augment" && name === "pixels") return 3 * uniforms.crop! ** 2 * uniforms.images!;
  if (kernel.name === "copy_run") return 4 * uniforms.size!;
  const isOverwritten = access(spec) === "update" && uniforms.accumulate === 0;
  const times = access(spec) === "update" && !isOverwritten ? 2 : 1;
  return times * length * ELEMENT_BYTES[elementType(spec)];
}

/** Buffers that a kernel ignores when the uniform is 0: the factors and the bias of an epilogue. */
const UNUSED: Readonly<Record<string, string>> = { s: "scaled", b: "biased" };

const convolution = ({ uniforms: { o, oh, ow, c, groups = 1, kh, kw, images } }: { uniforms: Uniforms }) =>
  2 * o! * oh! * ow! * (c! / groups) * kh! * kw! * images!;
const linear = ({ uniforms: { outputs, inputs, images } }: { uniforms: Uniforms }) => 2 * outputs! * inputs! * images!;
const elements = ({ buffers }: Given, name: string) => buffers[name]!.length;
/** Winograd's transforms, per map and tile of 4 × 4: the multiply-adds by numbers that are not 0 in Bᵀ d B and Aᵀ m A. */
const transform = (name: string, multiplyAdds: number) => (call: Given) => {
  const { th, tw, images } = call.uniforms;
  const maps = call.uniforms[name]!;
  return 2 * multiplyAdds * maps * th! * tw! * images!;
};

/**
 * A power takes two instructions of the special function units, a logarithm and an exponential. Most GPUs have a quarter
 * or an eighth as many of these as of multiply-adds: each counts as much as 6 of them.
 */
const POWER = 2 * 6 * 2;

const LRN_GRADIENT = 10 + 2 * POWER + 5 * 4;

/** For kernels whose arithmetic can matter beside their memory traffic. */
const FLOP: Readonly<Record<string, (call: Given) => number>> = {
  conv2d_forward: convolution,
  conv2d_backward_x: convolution,
  conv2d_backward_w: convolution,
  local2d_forward: convolution,
  local2d_backward_x: convolution,
  local2d_backward_w: convolution,
  depthwise_forward: convolution,
  depthwise_backward_x: convolution,
  depthwise_backward_w: convolution,
  linear_forward: linear,
  linear_forward_narrow: linear,
  linear_backward_x: linear,
  linear_backward_x_narrow: linear,
  linear_backward_w: linear,
  winograd_3x3_input: transform("c", 22 * (6 + 6)),
  winograd_3x3_output: transform("o", 18 * (6 + 4)),
  winograd_3x3_gradients: transform("o", 18 * (4 + 6)),
  winograd_5x5_input: transform("c", 44 * (8 + 8)),
  winograd_5x5_output: transform("o", 26 * (8 + 4)),
  winograd_5x5_gradients: transform("o", 26 * (4 + 8)),
  // A sum of five squares and a power; backward, by the variant that slides along the maps, a second power and a sum of
  // five terms.
  lrn_forward: (call) => elements(call, "x") * (10 + POWER),
  lrn_backward: (call) => elements(call, "x") * LRN_GRADIENT,
  // For each pixel of each window of 3 × 3.
  lrn_max_pool_forward: (call) => elements(call, "y") * 9 * (10 + POWER),
  lrn_max_pool_backward: (call) => elements(call, "x") * LRN_GRADIENT,
};
