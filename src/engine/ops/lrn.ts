/**
 * Local response normalisation across maps, paper §3.3:
 *
 *   s_i = k + α Σ_j x_j²,  j from i−⌊n/2⌋ to i+⌊n/2⌋ within the maps of i's group
 *   y_i = x_i · s_i^−β
 *
 * and its gradient:
 *
 *   dx_i = dy_i · s_i^−β − 2αβ · x_i Σ_j dy_j · x_j · s_j^−(β+1),  over the same j
 *
 * Where x is the result of an activation function without a slope there, dx can be 0 instead (later/epilogue.ts).
 *
 * x, y: C × H × W × N. s is computed anew for the gradient, which takes less time than to write and to read it. The
 * paper's α is not divided by n; PyTorch's and Caffe's is.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireNumber, requireWhole, type OptionKinds } from "../../options.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, u32s, type Elements, type Variant } from "../kernel.ts";
import { format, type Tensor } from "../tensor.ts";
import { activationBefore, passesGradient } from "./later/epilogue.ts";
import forwardWgsl from "../../../kernels/wgsl/lrn_forward.wgsl" with { type: "text" };
import backwardWgsl from "../../../kernels/wgsl/lrn_backward.wgsl" with { type: "text" };
import forwardSlidingWgsl from "../../../kernels/wgsl/lrn_forward_sliding.wgsl" with { type: "text" };
import backwardSlidingWgsl from "../../../kernels/wgsl/lrn_backward_sliding.wgsl" with { type: "text" };

export interface LrnOptions {
  /** Number of neighbouring maps summed; odd. */
  readonly n: number;
  readonly k: number;
  readonly alpha: number;
  readonly beta: number;
  /** Number of groups of maps that are normalised independently; 2 where, in the paper, each GPU had its own half. */
  readonly groups?: number;
}

const OPTIONS: OptionKinds<LrnOptions> = {
  ...{ n: "number", k: "number", alpha: "number", beta: "number", groups: "number?" },
};

/** @throws ShapeError or UsageError for invalid options */
export function checkLrn(op: string, options: LrnOptions): void {
  checkOptions(op, options, OPTIONS);
  const { n, k, alpha, beta, groups = 1 } = options;
  requireWhole(op, { n, groups });
  requireNumber(op, { k, alpha, beta });
}

/**
 * @throws ShapeError when the maps don't divide into `groups`, or n is even; UsageError for an option that is unknown
 * or missing
 */
export function lrn(x: Tensor, options: LrnOptions): Tensor {
  const tape = tapeFor("lrn", { x });
  const uniforms = lrnUniforms("lrn", x, options);
  const y = tape.like(x);
  x.backend.run(lrnForward, { x: x.buffer, y: y.buffer }, uniforms);
  tape.record({
    inputs: [x],
    output: y,
    saved: [],
    reads: [x],
    backward(dy) {
      const u = { ...uniforms, activation: activationBefore(x) };
      const write = (dx: Tensor) => x.backend.run(lrnBackward, { x: x.buffer, dy: dy.buffer, dx: dx.buffer }, u);
      tape.accumulate(x, write, u.activation !== 0);
    },
  });
  return y;
}

/** What the kernels are told. @throws as `lrn` */
export function lrnUniforms(op: string, x: Tensor, options: LrnOptions) {
  checkLrn(op, options);
  const { n, k, alpha, beta, groups = 1 } = options;
  const [c = 0, h = 0, w = 0, images = 0] = x.shape;
  if (x.shape.length !== 4 || c % groups !== 0 || n % 2 !== 1) {
    throw new ShapeError(
      `${op}: input ${format(x.shape)}, ${groups} groups, n ${n}: need C × H × W × N with C a multiple of the groups, and n odd`,
    );
  }
  return { maps: c, plane: h * w * images, groupMaps: c / groups, reach: (n - 1) / 2, k, alpha, beta };
}

const uniforms = { ...u32s("maps", "plane", "groupMaps", "reach"), k: "f32", alpha: "f32", beta: "f32" } as const;

/** For the paper's windows of five maps: variants with as many threads as it takes for each to have at most `MAPS`. */
function sliding(name: string, wgsl: string): Variant<keyof typeof uniforms>[] {
  return [16, 64].map((MAPS) => ({
    ...{ name: `${name}_sliding_${MAPS}`, wgsl, constants: { MAPS } },
    fits: ({ reach }) => reach === 2,
    workgroups({ maps, plane, groupMaps }) {
      const [x, y] = line(plane);
      return [x, y, (maps / groupMaps) * Math.ceil(groupMaps / MAPS)];
    },
  }));
}

export const lrnForward = kernel({
  name: "lrn_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", y: "write" },
  uniforms,
  workgroups: ({ plane }) => line(plane),
  variants: sliding("lrn_forward", forwardSlidingWgsl),
  reference({ x, y }, u) {
    for (let i = 0; i < u.maps; i++) {
      for (let p = 0; p < u.plane; p++) y[i * u.plane + p] = x[i * u.plane + p]! * scale(x, i, p, u) ** -u.beta;
    }
  },
});

export const lrnBackward = kernel({
  name: "lrn_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { x: "read", dy: "read", dx: "write" },
  // activation: that of x, whose gradient dx passes through; 0 for none.
  uniforms: { ...uniforms, activation: "u32" },
  workgroups: ({ plane }) => line(plane),
  variants: sliding("lrn_backward", backwardSlidingWgsl),
  reference({ x, dy, dx }, u) {
    const { maps, plane, alpha, beta } = u;
    for (let i = 0; i < maps; i++) {
      const [first, last] = neighbours(i, u);
      for (let p = 0; p < plane; p++) {
        let sum = 0;
        for (let j = first; j <= last; j++) {
          const at = j * plane + p;
          sum += dy[at]! * x[at]! * scale(x, j, p, u) ** -(beta + 1);
        }
        const at = i * plane + p;
        const gradient = dy[at]! * scale(x, i, p, u) ** -beta - 2 * alpha * beta * x[at]! * sum;
        dx[at] = passesGradient(x[at]!, u.activation) ? gradient : 0;
      }
    }
  },
});

type Uniforms = Readonly<Record<keyof typeof uniforms, number>>;

/** s at position p of map i. */
function scale(x: Elements, i: number, p: number, u: Uniforms): number {
  const [first, last] = neighbours(i, u);
  let sum = 0;
  for (let j = first; j <= last; j++) sum += x[j * u.plane + p]! ** 2;
  return u.k + u.alpha * sum;
}

/** The first and last map within reach of map i, inside its group. */
function neighbours(i: number, { groupMaps, reach }: Uniforms): [number, number] {
  const group = i - (i % groupMaps);
  return [Math.max(group, i - reach), Math.min(group + groupMaps - 1, i + reach)];
}
