/**
 * Batch normalisation (arXiv 1502.03167): each map less its mean, divided by its deviation, scaled and shifted.
 *
 *   y = f(z · w + b),  z = (x − m) · r,  r = 1 / √(v + ε)
 *   dw = Σ dz · z,  db = Σ dz,  where dz is dy, or 0 where the activation function f has no slope
 *   dx = w · r · (dz − (db + z · dw) / P)   in training, where m and v are the map's own mean and variance
 *   dx = w · r · dz                         otherwise, where they are the running ones
 *
 * x, y: C × … × N, in memory C × P; w, b and the running mean and variance: C. PyTorch's batch_norm: in training the
 * running ones move towards the batch's by `momentum`, the variance unbiased, P / (P − 1) times v. f is none, or one of
 * epilogue.ts; the gradients compute z · w + b again from x, so that neither it nor dz is ever stored.
 */
import { ShapeError } from "../../../errors.ts";
import { checkOptions, requireNumber, type OptionKinds } from "../../../options.ts";
import { constant } from "../../constant.ts";
import { tapeFor } from "../../inputs.ts";
import { FOUR_BITS, fourEach, kernel, line, u32s, type Variant } from "../../kernel.ts";
import { runElements } from "../../tape.ts";
import { format, type Owner, type Tensor } from "../../tensor.ts";
import { NO_EPSILON, shareStatistics, shareSums } from "./batch_norm_shared.ts";
import { runGradients, runStatistics } from "./batch_norm_sums.ts";
import { copyTo } from "./copy.ts";
import { activated, activationNumber, passesGradient, type Activation } from "./epilogue.ts";
import backwardWgsl from "../../../../kernels/wgsl/batch_norm_backward.wgsl" with { type: "text" };
import foldWgsl from "../../../../kernels/wgsl/batch_norm_fold.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/batch_norm_forward.wgsl" with { type: "text" };

export interface BatchNormOptions {
  readonly training: boolean;
  /** How far the running mean and variance move towards the batch's: 0.1 if not given. */
  readonly momentum?: number;
  /** Added to the variance: 1e-5 if not given. */
  readonly epsilon?: number;
  /** Applied to the result. */
  readonly activation?: Activation | undefined;
}

/** What belongs to each map: C numbers each. Without a scale it is 1, without a shift 0. */
export interface BatchNormTensors {
  readonly scale?: Tensor | undefined;
  readonly shift?: Tensor | undefined;
  /** The running mean and variance, which training changes in place. */
  readonly mean: Tensor;
  readonly variance: Tensor;
}

const OPTIONS: OptionKinds<BatchNormOptions> = {
  ...{ training: "boolean", momentum: "number?", epsilon: "number?" },
  activation: "any?",
};

/** @throws ShapeError unless maps can be normalised so; UsageError for an option that is unknown or missing */
export function checkBatchNorm(op: string, options: BatchNormOptions): void {
  checkOptions(op, options, OPTIONS);
  const { momentum = 0.1, epsilon = 1e-5 } = options;
  requireNumber(op, { momentum }, 0, 1);
  requireNumber(op, { epsilon }, 0);
}

/**
 * @throws ShapeError when a tensor hasn't a number for each map, or in training, when a map has a single number;
 * UsageError for an option that is unknown or missing
 */
export function batchNorm(x: Tensor, tensors: BatchNormTensors, options: BatchNormOptions): Tensor {
  const { scale, shift, mean, variance } = tensors;
  const given = { ...(scale && { scale }), ...(shift && { shift }), mean, variance };
  const tape = tapeFor("batchNorm", { x, ...given });
  checkBatchNorm("batchNorm", options);
  const { training, momentum = 0.1, epsilon = 1e-5 } = options;
  const activation = activationNumber("batchNorm", options.activation);
  const [maps = 0] = x.shape;
  const plane = x.size / maps;
  for (const [name, { shape, size }] of Object.entries(given)) {
    if (size === maps) continue;
    throw new ShapeError(`batchNorm: input ${format(x.shape)}, ${name} ${format(shape)}: need a number for each map`);
  }
  const { allReduce } = training ? tape : {};
  if (training && plane === 1 && !allReduce) {
    throw new ShapeError(
      `batchNorm: input ${format(x.shape)} has one number for each map, which has no variance: use a larger batch`,
    );
  }
  const [y, stats] = [tape.like(x), tape.allocate([2, maps])];
  // Of a device's own images alone the running ones are not to know.
  const running = allReduce ? [tape.allocate([maps]), tape.allocate([maps])] : [mean, variance];
  const { backend } = x;
  const sizes = { maps, plane, activation };
  const mode = { training: training ? 1 : 0 };
  const factors = {
    w: (scale ?? constant(backend, 1, [maps])).buffer,
    b: (shift ?? constant(backend, 0, [maps])).buffer,
    stats: stats.buffer,
  };
  runStatistics(
    backend,
    { x: x.buffer, mean: running[0]!.buffer, variance: running[1]!.buffer, stats: stats.buffer },
    { maps, plane, ...mode, momentum, epsilon: allReduce ? NO_EPSILON : epsilon },
  );
  const part = allReduce ? shareStatistics(allReduce, stats, plane, { mean, variance }, { momentum, epsilon }) : 1;
  backend.run(batchNormForward, { x: x.buffer, ...factors, y: y.buffer }, sizes);
  tape.record({
    inputs: [x, ...(scale ? [scale] : []), ...(shift ? [shift] : [])],
    output: y,
    saved: [stats],
    reads: [x],
    backward(dy) {
      const [dw, db] = [tape.allocate([maps]), tape.allocate([maps])];
      const sums = { dw: dw.buffer, db: db.buffer };
      const read = { x: x.buffer, ...factors, dy: dy.buffer };
      runGradients(backend, { ...read, ...sums }, sizes);
      if (scale) tape.accumulate(scale, (to) => copyTo(to, dw));
      if (shift) tape.accumulate(shift, (to) => copyTo(to, db));
      if (allReduce) shareSums(allReduce, part, [dw, db]);
      tape.accumulate(x, (dx) =>
        backend.run(batchNormBackward, { ...read, ...sums, dx: dx.buffer }, { ...sizes, ...mode }),
      );
    },
  });
  return y;
}

/**
 * With running mean and variance, normalising conv(x, w) + b is scale · conv(x, w) + shift, which `conv2d` computes by
 * itself, given these.
 * @param tape owns them
 */
export function foldBatchNorm(
  tape: Owner,
  b: Tensor | undefined,
  { scale, shift, mean, variance }: BatchNormTensors,
  epsilon: number,
): { readonly scale: Tensor; readonly shift: Tensor } {
  const { backend } = tape;
  const maps = mean.size;
  const [zeros, ones] = [constant(backend, 0, [maps]), constant(backend, 1, [maps])];
  const folded = { scale: tape.allocate([maps]), shift: tape.allocate([maps]) };
  const given = {
    w: scale ?? ones,
    b: shift ?? zeros,
    mean,
    variance,
    bias: b ?? zeros,
    s: folded.scale,
    t: folded.shift,
  };
  runElements(batchNormFold, given, { epsilon });
  return folded;
}

export const batchNormFold = kernel({
  name: "batch_norm_fold",
  module: import.meta.url,
  wgsl: foldWgsl,
  buffers: { w: "read", b: "read", mean: "read", variance: "read", bias: "read", s: "write", t: "write" },
  uniforms: { size: "u32", epsilon: "f32" },
  workgroups: ({ size }) => line(size),
  reference({ w, b, mean, variance, bias, s, t }, { size, epsilon }) {
    for (let map = 0; map < size; map++) {
      s[map] = w[map]! / Math.sqrt(variance[map]! + epsilon);
      t[map] = (bias[map]! - mean[map]!) * s[map]! + b[map]!;
    }
  },
});

/** A variant for large GPUs, with 256 threads that compute four numbers each. */
function fourOfAMap(kernel: string, wgsl: string): Variant<"maps" | "plane"> {
  return {
    ...fourEach(kernel, wgsl, FOUR_BITS),
    fits: ({ plane }) => plane % 4 === 0,
    workgroups: ({ maps, plane }) => line((maps * plane) / 4, 256),
  };
}

export const batchNormForward = kernel({
  name: "batch_norm_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", w: "read", b: "read", stats: "read", y: "write" },
  uniforms: u32s("maps", "plane", "activation"),
  workgroups: ({ maps, plane }) => line(maps * plane),
  variants: [fourOfAMap("batch_norm_forward", forwardWgsl)],
  reference({ x, w, b, stats, y }, { maps, plane, activation }) {
    for (let i = 0, map = 0; map < maps; map++) {
      for (let p = 0; p < plane; p++, i++) {
        y[i] = activated((x[i]! - stats[map]!) * stats[maps + map]! * w[map]! + b[map]!, activation);
      }
    }
  },
});

export const batchNormBackward = kernel({
  name: "batch_norm_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { x: "read", w: "read", b: "read", stats: "read", dw: "read", db: "read", dy: "read", dx: "write" },
  uniforms: u32s("maps", "plane", "activation", "training"),
  workgroups: ({ maps, plane }) => line(maps * plane),
  variants: [fourOfAMap("batch_norm_backward", backwardWgsl)],
  reference({ x, w, b, stats, dw, db, dy, dx }, { maps, plane, activation, training }) {
    for (let i = 0, map = 0; map < maps; map++) {
      const [m, r] = [stats[map]!, stats[maps + map]!];
      for (let p = 0; p < plane; p++, i++) {
        const z = (x[i]! - m) * r;
        const dz = passesGradient(z * w[map]! + b[map]!, activation) ? dy[i]! : 0;
        const own = training === 1 ? (db[map]! + z * dw[map]!) / plane : 0;
        dx[i] = w[map]! * r * (dz - own);
      }
    }
  },
});
