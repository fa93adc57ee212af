/**
 * A step of Adam with decoupled weight decay (arXiv 1711.05101, algorithm 2; PyTorch's AdamW):
 *
 *   m ← β₁ · m + (1 − β₁) · dw
 *   v ← β₂ · v + (1 − β₂) · dw²
 *   w ← w − rate · decay · w − rate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
 */
import { ShapeError } from "../../../errors.ts";
import { checkOptions, requireNumber, requireWhole, type OptionKinds } from "../../../options.ts";
import { checkInputs } from "../../inputs.ts";
import { fourEach, kernel, line } from "../../kernel.ts";
import { runElements } from "../../tape.ts";
import { format, type Tensor } from "../../tensor.ts";
import wgsl from "../../../../kernels/wgsl/adamw.wgsl" with { type: "text" };

export interface AdamWOptions {
  readonly rate: number;
  readonly decay: number;
  /** Which step it is, the first is 1. */
  readonly step: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

const OPTIONS: OptionKinds<AdamWOptions> = {
  ...{ rate: "number", decay: "number", step: "number" },
  ...{ beta1: "number?", beta2: "number?", epsilon: "number?" },
};

/**
 * Updates w and its moments m and v in place from the gradient dw; all of one shape.
 * @throws ShapeError when they are not, or for numbers out of range; UsageError for an option that is unknown or missing
 */
export function adamw(w: Tensor, m: Tensor, v: Tensor, dw: Tensor, options: AdamWOptions): void {
  checkInputs("adamw", { w, m, v, dw });
  checkOptions("adamw", options, OPTIONS);
  const { rate, decay, step, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  requireNumber("adamw", { rate, decay, epsilon }, 0);
  requireNumber("adamw", { beta1, beta2 }, 0, 1 - 2 ** -24);
  requireWhole("adamw", { step });
  const [shape, ...others] = [w, m, v, dw].map((tensor) => format(tensor.shape));
  if (others.some((other) => other !== shape)) {
    throw new ShapeError(
      `adamw: weights ${shape}, moments ${others[0]} and ${others[1]}, gradient ${others[2]}: must be of one shape`,
    );
  }
  const corrected = { step: rate / (1 - beta1 ** step), scale: 1 / Math.sqrt(1 - beta2 ** step) };
  runElements(adamwKernel, { w, m, v, dw }, { rate, beta1, beta2, epsilon, decay, ...corrected });
}

export const adamwKernel = kernel({
  name: "adamw",
  module: import.meta.url,
  wgsl,
  buffers: { w: "update", m: "update", v: "update", dw: "read" },
  uniforms: {
    ...{ size: "u32", rate: "f32", beta1: "f32", beta2: "f32" },
    ...{ epsilon: "f32", decay: "f32", step: "f32", scale: "f32" },
  },
  workgroups: ({ size }) => line(size),
  variants: [fourEach("adamw", wgsl)],
  reference({ w, m, v, dw }, { size, rate, beta1, beta2, epsilon, decay, step, scale }) {
    for (let i = 0; i < size; i++) {
      m[i] = beta1 * m[i]! + (1 - beta1) * dw[i]!;
      v[i] = beta2 * v[i]! + (1 - beta2) * dw[i]! ** 2;
      w[i]! -= rate * decay * w[i]! + (step * m[i]!) / (Math.sqrt(v[i]!) * scale + epsilon);
    }
  },
});
