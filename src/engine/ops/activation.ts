/**
 * Activation functions, elementwise, for tensors of any shape:
 *
 *   relu   y = max(0, x),  dx = 0 where y ≤ 0, else dy   paper §3.1
 *   tanh   y = tanh x,     dx = dy · (1 − y²)
 *
 * NaN stays NaN, and the gradient of ReLU passes where x is NaN. Those that came later are in later/activation.ts.
 */
import { tapeFor } from "../inputs.ts";
import { fourEach, kernel, line, u32s, type BufferSpec, type Constants, type Kernel } from "../kernel.ts";
import { record, runElements } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import reluForwardWgsl from "../../../kernels/wgsl/relu_forward.wgsl" with { type: "text" };
import reluBackwardWgsl from "../../../kernels/wgsl/relu_backward.wgsl" with { type: "text" };
import tanhForwardWgsl from "../../../kernels/wgsl/tanh_forward.wgsl" with { type: "text" };
import tanhBackwardWgsl from "../../../kernels/wgsl/tanh_backward.wgsl" with { type: "text" };

/** max(0, x). */
export function relu(x: Tensor): Tensor {
  return pointwise("relu", x, reluForward, reluBackward, "y");
}

/** The hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return pointwise("tanh", x, tanhForward, tanhBackward, "y");
}

/** @param from what the gradient is computed from, besides dy */
export function pointwise<F extends "x" | "y">(
  op: string,
  x: Tensor,
  forward: Kernel<"x" | "y", "size">,
  backward: Kernel<F | "dy" | "dx", "size">,
  from: F,
): Tensor {
  const y = tapeFor(op, { x }).like(x);
  runElements(forward, { x, y }, {});
  const gradient = (dx: Tensor, dy: Tensor) =>
    runElements(backward, { [from]: { x, y }[from], dy, dx } as Record<F | "dy" | "dx", Tensor>, {});
  return record(y, [x, gradient]);
}

export const [reluForward, reluBackward] = kernels(
  {
    ...{ name: "relu", module: import.meta.url, forward: reluForwardWgsl, backward: reluBackwardWgsl, from: "y" },
    four: { Bits: "vec4u" },
  },
  (x) => Math.max(0, x),
  (y, dy) => (y <= 0 ? 0 : dy),
);

export const [tanhForward, tanhBackward] = kernels(
  { name: "tanh", module: import.meta.url, forward: tanhForwardWgsl, backward: tanhBackwardWgsl, from: "y" },
  Math.tanh,
  (y, dy) => dy * (1 - y ** 2),
);

/** Where a function's two kernels are declared, and their WGSL. */
export interface Text<F extends string> {
  readonly name: string;
  readonly module: string;
  readonly forward: string;
  readonly backward: string;
  readonly constants?: Constants;
  /** The constants of variants that compute four numbers in a thread, if the WGSL allows for these. */
  readonly four?: Constants;
  /** What the gradient is computed from, besides dy. */
  readonly from: F;
}

/** The kernels of a function, by its value and its gradient. */
export function kernels<F extends "x" | "y">(
  { name, forward, backward, four, from, ...rest }: Text<F>,
  value: (x: number) => number,
  gradient: (from: number, dy: number) => number,
) {
  const workgroups = ({ size }: { size: number }) => line(size);
  const common = (pass: "forward" | "backward", wgsl: string) => ({
    ...{ ...rest, name: `${name}_${pass}`, wgsl, uniforms: u32s("size"), workgroups },
    ...(four && { variants: [fourEach(`${name}_${pass}`, wgsl, { ...rest.constants, ...four })] }),
  });
  return [
    kernel({
      ...common("forward", forward),
      buffers: { x: "read", y: "write" },
      reference({ x, y }, { size }) {
        for (let i = 0; i < size; i++) y[i] = value(x[i]!);
      },
    }),
    kernel({
      ...common("backward", backward),
      buffers: { [from]: "read", dy: "read", dx: "write" } as Record<F | "dy" | "dx", BufferSpec>,
      reference({ [from]: given, dy, dx }, { size }) {
        for (let i = 0; i < size; i++) dx[i] = gradient(given[i]!, dy[i]!);
      },
    }),
  ] as const;
}
