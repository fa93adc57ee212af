/**
 * One step of stochastic gradient descent with momentum and weight decay, paper §5:
 *
 *   v ← momentum · v − decay · rate · w − rate · dw
 *   w ← w + v
 *
 * or, looking ahead with Nesterov (Sutskever et al. 2013; PyTorch's SGD with nesterov, at a constant rate):
 *
 *   w ← w + momentum · v − decay · rate · w − rate · dw
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireNumber, type OptionKinds } from "../../options.ts";
import { checkInputs } from "../inputs.ts";
import { fourEach, kernel, line } from "../kernel.ts";
import { runElements } from "../tape.ts";
import { format, type Tensor } from "../tensor.ts";
import wgsl from "../../../kernels/wgsl/sgd.wgsl" with { type: "text" };

export interface SgdOptions {
  readonly rate: number;
  readonly momentum: number;
  readonly decay: number;
  readonly nesterov?: boolean;
}

const OPTIONS: OptionKinds<SgdOptions> = { rate: "number", momentum: "number", decay: "number", nesterov: "boolean?" };

/**
 * Updates w and its velocity v in place from the gradient dw; all have the same shape.
 * @throws ShapeError when they don't, or a number is not finite; UsageError for an option that is unknown or missing
 */
export function sgd(w: Tensor, v: Tensor, dw: Tensor, options: SgdOptions): void {
  checkInputs("sgd", { w, v, dw });
  checkOptions("sgd", options, OPTIONS);
  const { rate, momentum, decay, nesterov = false } = options;
  requireNumber("sgd", { rate, momentum, decay });
  const [shape, ...others] = [w, v, dw].map((tensor) => format(tensor.shape));
  if (others.some((other) => other !== shape)) {
    throw new ShapeError(
      `sgd: weights ${shape}, velocity ${others[0]}, gradient ${others[1]}: must have the same shape`,
    );
  }
  runElements(sgdKernel, { w, v, dw }, { rate, momentum, decay, ahead: nesterov ? 1 : 0 });
}

export const sgdKernel = kernel({
  name: "sgd",
  module: import.meta.url,
  wgsl,
  buffers: { w: "update", v: "update", dw: "read" },
  uniforms: { size: "u32", rate: "f32", momentum: "f32", decay: "f32", ahead: "u32" },
  workgroups: ({ size }) => line(size),
  variants: [fourEach("sgd", wgsl)],
  reference({ w, v, dw }, { size, rate, momentum, decay, ahead }) {
    for (let i = 0; i < size; i++) {
      const pull = decay * rate * w[i]! + rate * dw[i]!;
      v[i] = momentum * v[i]! - pull;
      w[i]! += ahead === 1 ? momentum * v[i]! - pull : v[i]!;
    }
  },
});
