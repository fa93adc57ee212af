/**
 * ReLU (paper §3.1) and tanh, elementwise. Both gradients need only the output:
 *
 *   y = max(0, x),  dx = 0 where y ≤ 0, else dy
 *   y = tanh(x),    dx = dy · (1 − y²)
 *
 * NaN stays NaN in both, and ReLU passes the gradient on where y is NaN.
 */
import { view } from "../backend.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, type Kernel } from "../kernel.ts";
import { pieces } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import reluForwardWgsl from "../../../kernels/wgsl/relu_forward.wgsl" with { type: "text" };
import reluBackwardWgsl from "../../../kernels/wgsl/relu_backward.wgsl" with { type: "text" };
import tanhForwardWgsl from "../../../kernels/wgsl/tanh_forward.wgsl" with { type: "text" };
import tanhBackwardWgsl from "../../../kernels/wgsl/tanh_backward.wgsl" with { type: "text" };

/** max(0, x); any shape. */
export function relu(x: Tensor): Tensor {
  return pointwise("relu", x, reluForward, reluBackward);
}

/** The hyperbolic tangent; any shape. */
export function tanh(x: Tensor): Tensor {
  return pointwise("tanh", x, tanhForward, tanhBackward);
}

function pointwise(
  op: string,
  x: Tensor,
  forward: Kernel<"x" | "y", "size">,
  backward: Kernel<"y" | "dy" | "dx", "size">,
): Tensor {
  const tape = tapeFor(op, { x });
  const y = tape.allocate(x.shape);
  const { backend } = x;
  for (const [offset, size] of pieces(x)) {
    backend.run(forward, { x: view(x.buffer, offset, size), y: view(y.buffer, offset, size) }, { size });
  }
  tape.record({
    inputs: [x],
    output: y,
    saved: [],
    backward: (dy) =>
      tape.accumulate(x, (dx) => {
        for (const [offset, size] of pieces(x)) {
          const [yPart, dyPart, dxPart] = [y, dy, dx].map((tensor) => view(tensor.buffer, offset, size));
          backend.run(backward, { y: yPart!, dy: dyPart!, dx: dxPart! }, { size });
        }
      }),
  });
  return y;
}

const common = {
  module: import.meta.url,
  uniforms: { size: "u32" },
  workgroups: ({ size }: { size: number }) => line(size),
} as const;

export const reluForward = kernel({
  ...common,
  name: "relu_forward",
  wgsl: reluForwardWgsl,
  buffers: { x: "read", y: "write" },
  reference({ x, y }, { size }) {
    for (let i = 0; i < size; i++) y[i] = Math.max(0, x[i]!);
  },
});

export const reluBackward = kernel({
  ...common,
  name: "relu_backward",
  wgsl: reluBackwardWgsl,
  buffers: { y: "read", dy: "read", dx: "write" },
  reference({ y, dy, dx }, { size }) {
    for (let i = 0; i < size; i++) dx[i] = y[i]! <= 0 ? 0 : dy[i]!;
  },
});

export const tanhForward = kernel({
  ...common,
  name: "tanh_forward",
  wgsl: tanhForwardWgsl,
  buffers: { x: "read", y: "write" },
  reference({ x, y }, { size }) {
    for (let i = 0; i < size; i++) y[i] = Math.tanh(x[i]!);
  },
});

export const tanhBackward = kernel({
  ...common,
  name: "tanh_backward",
  wgsl: tanhBackwardWgsl,
  buffers: { y: "read", dy: "read", dx: "write" },
  reference({ y, dy, dx }, { size }) {
    for (let i = 0; i < size; i++) dx[i] = dy[i]! * (1 - y[i]! ** 2);
  },
});
