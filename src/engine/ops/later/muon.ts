/**
 * A step of Muon (Keller Jordan, kellerjordan.github.io/posts/muon; PyTorch's Muon): SGD with Nesterov's momentum whose
 * steps are made orthogonal, so that no direction of a matrix is moved much further than the others.
 *
 *   m ← μ · m + (1 − μ) · dw
 *   x = (1 − μ) · dw + μ · m
 *   w ← w − rate · decay · w − rate · √max(1, R / C) · orthogonal(x)
 *
 * w, m, dw: R × C; filters of a convolution are O × (C·KH·KW). orthogonal(x) is about U · Vᵀ of the singular value
 * decomposition x = U · S · Vᵀ, by five Newton–Schulz iterations, which take a singular value s to a·s + b·s³ + c·s⁵:
 *
 *   x ← x / (‖x‖ + ε), then five times x ← (a · I + b · g + c · g²) · x, where g = x · xᵀ
 *
 * For these coefficients, those of the original, small singular values grow as fast as possible, and all end between 0.7
 * and 1.2 instead of at 1. Matrices with R > C are multiplied from the right instead, with g = xᵀ · x, the smaller.
 */
import { ShapeError } from "../../../errors.ts";
import { checkOptions, requireNumber, type OptionKinds } from "../../../options.ts";
import type { Buffer } from "../../backend.ts";
import { constant } from "../../constant.ts";
import { checkInputs } from "../../inputs.ts";
import { kernel, line } from "../../kernel.ts";
import { poolOf } from "../../pool.ts";
import { format, Tensor } from "../../tensor.ts";
import { linearBackwardW, linearBackwardX, linearForward } from "../linear.ts";
import { chooseSplits, runSplit } from "../split.ts";
import { axpby } from "./axpby.ts";
import scaleWgsl from "../../../../kernels/wgsl/gram_scale.wgsl" with { type: "text" };
import wgsl from "../../../../kernels/wgsl/newton_schulz.wgsl" with { type: "text" };

const ITERATIONS = 5;
const [A, B, C] = [3.4445, -4.775, 2.0315];
const EPSILON = 1e-7;

export interface MuonOptions {
  readonly rate: number;
  readonly decay: number;
  readonly momentum?: number;
}

const OPTIONS: OptionKinds<MuonOptions> = { rate: "number", decay: "number", momentum: "number?" };

/**
 * Updates w and its momentum m in place from the gradient dw, which is used up: all of one shape, of two or more
 * dimensions. Momentum is 0.95 if not given.
 * @throws ShapeError when they are not, when the device can't bind them whole, or for numbers out of range; UsageError
 * for an option that is unknown or missing
 */
export function muon(w: Tensor, m: Tensor, dw: Tensor, options: MuonOptions): void {
  checkInputs("muon", { w, m, dw });
  checkOptions("muon", options, OPTIONS);
  const { rate, decay, momentum = 0.95 } = options;
  requireNumber("muon", { rate, decay }, 0);
  requireNumber("muon", { momentum }, 0, 1);
  const [shape, ...others] = [w, m, dw].map((tensor) => format(tensor.shape));
  if (others.some((other) => other !== shape) || w.shape.length < 2) {
    throw new ShapeError(
      `muon: weights ${shape}, momentum ${others[0]}, gradient ${others[1]}: must be of one shape, with rows and columns`,
    );
  }
  const { bindingBytes } = w.backend.limits;
  if (4 * w.size > bindingBytes) {
    throw new ShapeError(
      `muon: weights ${shape} have ${4 * w.size} bytes, but this device binds at most ${bindingBytes}: ` +
        `use another optimizer or device`,
    );
  }
  axpby(1 - momentum, dw, momentum, m);
  axpby(momentum, m, 1 - momentum, dw);
  const [rows = 1] = w.shape;
  const scale = Math.sqrt(Math.max(1, (rows * rows) / w.size));
  orthogonalized(dw, (x) => axpby(-rate * scale, x, 1 - rate * decay, w));
}

/** Passes on orthogonal(x), which is there until `use` returns; x is overwritten. */
function orthogonalized(x: Tensor, use: (result: Tensor) => void): void {
  const { backend, shape, size } = x;
  const [rows = 1] = shape;
  const columns = size / rows;
  const side = Math.min(rows, columns);
  const pool = poolOf(backend);
  const [gram, polynomial, scale] = [side * side, side * side, 1].map((length) => pool.take("f32", length));
  const buffer = pool.take("f32", size);
  /** y = a · b, for a: outputs × inputs and b: inputs × images. */
  const product = (a: Buffer, b: Buffer, y: Buffer, outputs: number, inputs: number, images: number) => {
    const splits = chooseSplits(backend, outputs, images, 1, inputs);
    const given = { w: a, x: b, b: constant(backend, 0, [outputs]).buffer };
    const sizes = { outputs, inputs, images, splits };
    runSplit(backend, splits, y, (into) => backend.run(linearForward, { ...given, y: into }, sizes));
  };
  let [from, to] = [x, new Tensor(backend, shape, buffer)];
  for (let i = 0; i < ITERATIONS; i++) {
    const [own, given] = [from.buffer, { gram: gram!, scale: i === 0 ? scale! : constant(backend, 1, [1]).buffer }];
    if (rows > columns) {
      const sizes = { outputs: rows, inputs: columns, images: columns, accumulate: 0, splits: 1 };
      backend.run(linearBackwardX, { w: own, dy: own, dx: gram! }, sizes);
    } else {
      backend.run(linearBackwardW, { x: own, dy: own, dw: gram! }, { outputs: rows, inputs: rows, images: columns });
    }
    if (i === 0) backend.run(gramScale, given, { side, epsilon: EPSILON });
    product(gram!, gram!, polynomial!, side, side, side);
    backend.run(newtonSchulz, { ...given, y: polynomial! }, { side, a: A, b: B, c: C });
    if (rows > columns) product(own, polynomial!, to.buffer, rows, columns, columns);
    else product(polynomial!, own, to.buffer, rows, rows, columns);
    [from, to] = [to, from];
  }
  use(from);
  // Safe while it is queued: whatever uses them next is queued after it.
  for (const used of [gram!, polynomial!, scale!, buffer]) pool.give(used);
}

export const gramScale = kernel({
  name: "gram_scale",
  module: import.meta.url,
  wgsl: scaleWgsl,
  buffers: { gram: "read", scale: "write" },
  uniforms: { side: "u32", epsilon: "f32" },
  workgroups: () => [1, 1, 1],
  reference({ gram, scale }, { side, epsilon }) {
    let sum = 0;
    for (let i = 0; i < side; i++) sum += gram[i * (side + 1)]!;
    scale[0] = 1 / (Math.sqrt(sum) + epsilon);
  },
});

export const newtonSchulz = kernel({
  name: "newton_schulz",
  module: import.meta.url,
  wgsl,
  buffers: { gram: "read", scale: "read", y: "update" },
  uniforms: { side: "u32", a: "f32", b: "f32", c: "f32" },
  workgroups: ({ side }) => line(side * side),
  reference({ gram, scale, y }, { side, a, b, c }) {
    const s = scale[0]!;
    const square = s ** 2;
    for (let i = 0; i < side * side; i++) {
      const identity = Math.floor(i / side) === i % side ? a : 0;
      y[i] = s * (identity + square * (b * gram[i]! + square * (c * y[i]!)));
    }
  },
});
