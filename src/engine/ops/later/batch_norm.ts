/**
 * Batch normalisation (arXiv 1502.03167): each map less its mean, divided by its deviation, scaled and shifted.
 *
 *   y = z · w + b,  z = (x − m) · r,  r = 1 / √(v + ε)
 *   dw = Σ dy · z,  db = Σ dy
 *   dx = w · r · (dy − (db + z · dw) / P)   in training, where m and v are the map's own mean and variance
 *   dx = w · r · dy                         otherwise, where they are the running ones
 *
 * x, y: C × … × N, in memory C × P; w, b and the running mean and variance: C. PyTorch's batch_norm: in training the
 * running ones move towards the batch's by `momentum`, the variance unbiased, P / (P − 1) times v.
 */
import { ShapeError } from "../../../errors.ts";
import { checkOptions, requireNumber, type OptionKinds } from "../../../options.ts";
import { constant } from "../../constant.ts";
import { tapeFor } from "../../inputs.ts";
import { kernel, line, u32s } from "../../kernel.ts";
import { format, type Tensor } from "../../tensor.ts";
import { copyTo } from "./add.ts";
import { NO_EPSILON, shareStatistics, shareSums } from "./batch_norm_shared.ts";
import backwardWgsl from "../../../../kernels/wgsl/batch_norm_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/batch_norm_forward.wgsl" with { type: "text" };
import gradientsWgsl from "../../../../kernels/wgsl/batch_norm_gradients.wgsl" with { type: "text" };
import statisticsWgsl from "../../../../kernels/wgsl/batch_norm_statistics.wgsl" with { type: "text" };

export interface BatchNormOptions {
  readonly training: boolean;
  /** How far the running mean and variance move towards the batch's: 0.1 if not given. */
  readonly momentum?: number;
  /** Added to the variance: 1e-5 if not given. */
  readonly epsilon?: number;
}

/** What belongs to each map: C numbers each. Without a scale it is 1, without a shift 0. */
export interface BatchNormTensors {
  readonly scale?: Tensor | undefined;
  readonly shift?: Tensor | undefined;
  /** The running mean and variance, which training changes in place. */
  readonly mean: Tensor;
  readonly variance: Tensor;
}

const OPTIONS: OptionKinds<BatchNormOptions> = { training: "boolean", momentum: "number?", epsilon: "number?" };

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
  const [y, stats] = [tape.allocate(x.shape), tape.allocate([2, maps])];
  // Of a device's own images alone the running ones are not to know.
  const running = allReduce ? [tape.allocate([maps]), tape.allocate([maps])] : [mean, variance];
  const { backend } = x;
  const sizes = { maps, plane };
  const mode = { training: training ? 1 : 0 };
  const w = scale ?? constant(backend, 1, [maps]);
  backend.run(
    batchNormStatistics,
    { x: x.buffer, mean: running[0]!.buffer, variance: running[1]!.buffer, stats: stats.buffer },
    { ...sizes, ...mode, momentum, epsilon: allReduce ? NO_EPSILON : epsilon },
  );
  const part = allReduce ? shareStatistics(allReduce, stats, plane, { mean, variance }, { momentum, epsilon }) : 1;
  backend.run(
    batchNormForward,
    { x: x.buffer, w: w.buffer, b: (shift ?? constant(backend, 0, [maps])).buffer, stats: stats.buffer, y: y.buffer },
    sizes,
  );
  tape.record({
    inputs: [x, ...(scale ? [scale] : []), ...(shift ? [shift] : [])],
    output: y,
    saved: [stats],
    backward(dy) {
      const [dw, db] = [tape.allocate([maps]), tape.allocate([maps])];
      const sums = { dw: dw.buffer, db: db.buffer };
      const read = { x: x.buffer, stats: stats.buffer, dy: dy.buffer };
      backend.run(batchNormGradients, { ...read, ...sums }, sizes);
      if (scale) tape.accumulate(scale, (to) => copyTo(to, dw));
      if (shift) tape.accumulate(shift, (to) => copyTo(to, db));
      if (allReduce) shareSums(allReduce, part, [dw, db]);
      tape.accumulate(x, (dx) =>
        backend.run(batchNormBackward, { ...read, w: w.buffer, ...sums, dx: dx.buffer }, { ...sizes, ...mode }),
      );
    },
  });
  return y;
}

export const batchNormStatistics = kernel({
  name: "batch_norm_statistics",
  module: import.meta.url,
  wgsl: statisticsWgsl,
  buffers: { x: "read", mean: "update", variance: "update", stats: "write" },
  uniforms: { ...u32s("maps", "plane", "training"), momentum: "f32", epsilon: "f32" },
  // One workgroup a map.
  workgroups: ({ maps }) => line(maps, 1),
  reference({ x, mean, variance, stats }, { maps, plane, training, momentum, epsilon }) {
    for (let map = 0; map < maps; map++) {
      let [m, v] = [mean[map]!, variance[map]!];
      if (training === 1) {
        const first = map * plane;
        let [sum, squares] = [0, 0];
        for (let i = first; i < first + plane; i++) sum += x[i]!;
        m = sum / plane;
        for (let i = first; i < first + plane; i++) squares += (x[i]! - m) ** 2;
        v = squares / plane;
        mean[map]! += momentum * (m - mean[map]!);
        variance[map]! += momentum * (squares / (plane - 1) - variance[map]!);
      }
      stats[map] = m;
      stats[maps + map] = 1 / Math.sqrt(v + epsilon);
    }
  },
});

export const batchNormForward = kernel({
  name: "batch_norm_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", w: "read", b: "read", stats: "read", y: "write" },
  uniforms: u32s("maps", "plane"),
  workgroups: ({ maps, plane }) => line(maps * plane),
  reference({ x, w, b, stats, y }, { maps, plane }) {
    for (let i = 0, map = 0; map < maps; map++) {
      for (let p = 0; p < plane; p++, i++) y[i] = (x[i]! - stats[map]!) * stats[maps + map]! * w[map]! + b[map]!;
    }
  },
});

export const batchNormGradients = kernel({
  name: "batch_norm_gradients",
  module: import.meta.url,
  wgsl: gradientsWgsl,
  buffers: { x: "read", stats: "read", dy: "read", dw: "write", db: "write" },
  uniforms: u32s("maps", "plane"),
  workgroups: ({ maps }) => line(maps, 1),
  reference({ x, stats, dy, dw, db }, { maps, plane }) {
    for (let i = 0, map = 0; map < maps; map++) {
      let [scaled, plain] = [0, 0];
      for (let p = 0; p < plane; p++, i++) {
        scaled += dy[i]! * (x[i]! - stats[map]!);
        plain += dy[i]!;
      }
      dw[map] = scaled * stats[maps + map]!;
      db[map] = plain;
    }
  },
});

export const batchNormBackward = kernel({
  name: "batch_norm_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { x: "read", w: "read", stats: "read", dw: "read", db: "read", dy: "read", dx: "write" },
  uniforms: u32s("maps", "plane", "training"),
  workgroups: ({ maps, plane }) => line(maps * plane),
  reference({ x, w, stats, dw, db, dy, dx }, { maps, plane, training }) {
    for (let i = 0, map = 0; map < maps; map++) {
      const [m, r] = [stats[map]!, stats[maps + map]!];
      for (let p = 0; p < plane; p++, i++) {
        const own = training === 1 ? (db[map]! + (x[i]! - m) * r * dw[map]!) / plane : 0;
        dx[i] = w[map]! * r * (dy[i]! - own);
      }
    }
  },
});
