/**
 * The epilogue: what an op makes of its result before writing it, so that the result itself is nowhere in memory.
 * Convolutions can multiply it by a factor for each filter before they add the bias. And there are activation functions
 * y = f(z), those whose gradient needs y alone:
 *
 *   relu    y = max(0, z),          dz = 0 where y ≤ 0, else dy
 *   relu6   y = min(max(0, z), 6),  dz = 0 where y ≤ 0 or y ≥ 6, else dy
 *
 * NaN stays NaN, and its gradient passes.
 */
import { ShapeError, UsageError } from "../../../errors.ts";
import { show, type OptionKinds } from "../../../options.ts";
import { FOUR_BITS, fourEach, kernel, line } from "../../kernel.ts";
import { runElements } from "../../tape.ts";
import { format, type Owner, type Tensor } from "../../tensor.ts";
import { copyTo } from "./copy.ts";
import backwardWgsl from "../../../../kernels/wgsl/epilogue_backward.wgsl" with { type: "text" };

export type Activation = (typeof ACTIVATIONS)[number];

const ACTIVATIONS = ["relu", "relu6"] as const;

/** What kernels are told. */
export interface Epilogue {
  /** 1 if there are factors, else 0. */
  readonly scaled: number;
  /** 0 for none, 1 for ReLU, 2 for ReLU6. */
  readonly activation: number;
}

export interface EpilogueOptions {
  /** Applied to the result. */
  readonly activation?: Activation | undefined;
  /** A factor for each filter, for inference: it has no gradient. */
  readonly scale?: Tensor | undefined;
}

export const EPILOGUE: OptionKinds<EpilogueOptions> = { activation: "any?", scale: "object?" };

/**
 * @throws ShapeError unless there is a factor for each filter; UsageError for another function, and for factors on a
 * tape that records
 */
export function epilogueOf(op: string, { activation, scale }: EpilogueOptions, filters: number, tape: Owner): Epilogue {
  if (scale && scale.size !== filters) {
    throw new ShapeError(`${op}: scale ${format(scale.shape)}, ${filters} filters: need a number for each`);
  }
  if (scale && tape.recording) {
    throw new UsageError(`${op}: a scale has no gradient: use a tape made with { record: false }`);
  }
  return { scaled: scale ? 1 : 0, activation: activationNumber(op, activation) };
}

/** @throws UsageError for another function */
export function activationNumber(op: string, activation: Activation | undefined): number {
  if (activation === undefined) return 0;
  const index = ACTIVATIONS.indexOf(activation);
  if (index >= 0) return 1 + index;
  throw new UsageError(`${op}: activation is ${show(activation)}, must be ${ACTIVATIONS.join(" or ")}`);
}

/** y by z, for a reference loop. */
export function activated(z: number, activation: number): number {
  if (activation === 0) return z;
  return Math.min(Math.max(0, z), activation === 2 ? 6 : Infinity);
}

/** Whether the gradient passes, by y or z, for a reference loop. */
export function passesGradient(y: number, activation: number): boolean {
  return activation === 0 || !(y <= 0 || (activation === 2 && y >= 6));
}

/**
 * The activation function of x through which an op passes its gradient of x, so that x's op need not: 0 for none, as
 * where x and its own gradient are kept. The op tells the tape, which may find that others add to the gradient.
 */
export function activationBefore(x: Tensor): number {
  return x.kept ? 0 : x.activation;
}

/** dz by dy. It takes the place of dy, unless y and its gradient are kept. */
export function beforeActivation(y: Tensor, dy: Tensor, activation: number): Tensor {
  if (activation === 0 || y.gradBeforeActivation) return dy;
  const dz = y.kept ? y.tape!.like(y) : dy;
  if (dz !== dy) copyTo(dz, dy);
  runElements(epilogueBackward, { y, dy: dz }, { activation });
  return dz;
}

export const epilogueBackward = kernel({
  name: "epilogue_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { y: "read", dy: "update" },
  uniforms: { size: "u32", activation: "u32" },
  workgroups: ({ size }) => line(size),
  variants: [fourEach("epilogue_backward", backwardWgsl, FOUR_BITS)],
  reference({ y, dy }, { size, activation }) {
    for (let i = 0; i < size; i++) if (!passesGradient(y[i]!, activation)) dy[i] = 0;
  },
});
