/** y ← β · y + α · x, in place and without a gradient: for optimizers. BLAS calls it axpby. */
import { kernel, line } from "../../kernel.ts";
import { runElements } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import wgsl from "../../../../kernels/wgsl/axpby.wgsl" with { type: "text" };

/** x and y are of one size. */
export function axpby(alpha: number, x: Tensor, beta: number, y: Tensor): void {
  runElements(axpbyKernel, { x, y }, { alpha, beta });
}

export const axpbyKernel = kernel({
  name: "axpby",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "update" },
  uniforms: { size: "u32", alpha: "f32", beta: "f32" },
  workgroups: ({ size }) => line(size),
  reference({ x, y }, { size, alpha, beta }) {
    for (let i = 0; i < size; i++) y[i] = beta * y[i]! + alpha * x[i]!;
  },
});
