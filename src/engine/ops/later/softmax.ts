/**
 * Softmax over the first axis, as PyTorch's with dim 0: the classes of classes × images, the maps at each pixel.
 *
 *   y[k, n]  = exp(x[k, n] − max x[·, n]) / Σ_j exp(x[j, n] − max x[·, n])
 *   dx[k, n] = y[k, n] · (dy[k, n] − dots[n]),  dots[n] = Σ_j y[j, n] · dy[j, n]
 *
 * x, y: K × …, n counting through all axes but the first. A NaN makes its column NaN.
 */
import { tapeFor } from "../../inputs.ts";
import { kernel, line, u32s } from "../../kernel.ts";
import { poolOf } from "../../pool.ts";
import { record } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { planeDot } from "./multiply.ts";
import backwardWgsl from "../../../../kernels/wgsl/softmax_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/softmax_forward.wgsl" with { type: "text" };

/** @param x K × N, or any shape whose first axis is that of the classes */
export function softmax(x: Tensor): Tensor {
  const y = tapeFor("softmax", { x }).like(x);
  const [classes = 1] = x.shape;
  const columns = x.size / classes;
  const { backend } = x;
  backend.run(softmaxForward, { x: x.buffer, y: y.buffer }, { classes, columns });
  const gradient = (dx: Tensor, dy: Tensor) => {
    const pool = poolOf(backend);
    const dots = pool.take("f32", columns);
    backend.run(planeDot, { a: y.buffer, b: dy.buffer, y: dots }, { maps: 1, plane: classes, images: columns });
    backend.run(softmaxBackward, { y: y.buffer, dy: dy.buffer, dots, dx: dx.buffer }, { classes, columns });
    pool.give(dots);
  };
  return record(y, [x, gradient]);
}

const uniforms = u32s("classes", "columns");

export const softmaxForward = kernel({
  name: "softmax_forward",
  module: import.meta.url,
  wgsl: forwardWgsl,
  buffers: { x: "read", y: "write" },
  uniforms,
  // Eight columns a workgroup.
  workgroups: ({ columns }) => line(columns, 8),
  reference({ x, y }, { classes, columns }) {
    for (let n = 0; n < columns; n++) {
      let [max, sum] = [-Infinity, 0];
      for (let k = 0; k < classes; k++) max = Math.max(max, x[k * columns + n]!);
      for (let k = 0; k < classes; k++) sum += Math.exp(x[k * columns + n]! - max);
      for (let k = 0; k < classes; k++) y[k * columns + n] = Math.exp(x[k * columns + n]! - max) / sum;
    }
  },
});

export const softmaxBackward = kernel({
  name: "softmax_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { y: "read", dy: "read", dots: "read", dx: "write" },
  uniforms,
  workgroups: ({ classes, columns }) => line(classes * columns),
  reference({ y, dy, dots, dx }, { classes, columns }) {
    for (let i = 0; i < classes * columns; i++) dx[i] = y[i]! * (dy[i]! - dots[i % columns]!);
  },
});
