/**
 * Global average pooling: the mean of each map (arXiv 1312.4400 §3.2; PyTorch's adaptive_avg_pool2d to 1 × 1).
 *
 *   y[c, 0, 0, n] = Σ x over the map / H · W
 *
 * x: C × H × W × N, y: C × 1 × 1 × N.
 */
import { tapeFor } from "../../inputs.ts";
import { kernel } from "../../kernel.ts";
import { record } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { imageShape } from "../shapes.ts";
import { planeDot, planeSums, scaleTo } from "./multiply.ts";
import wgsl from "../../../../kernels/wgsl/global_average_pool_forward.wgsl" with { type: "text" };

/** The mean of each map of each image. @returns C × 1 × 1 × N. @throws ShapeError unless x is C × H × W × N */
export function globalAveragePool(x: Tensor): Tensor {
  const tape = tapeFor("globalAveragePool", { x });
  const [maps, h, w, images] = imageShape("globalAveragePool", x);
  const y = tape.like(x, [maps, 1, 1, images]);
  x.backend.run(globalAveragePoolForward, { x: x.buffer, y: y.buffer }, { maps, plane: h * w, images });
  return record(y, [x, (dx, dy) => scaleTo(dx, dy, 1 / (h * w), h * w, images)]);
}

export const globalAveragePoolForward = kernel({
  name: "global_average_pool_forward",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "write" },
  uniforms: planeDot.uniforms,
  workgroups: planeDot.workgroups,
  reference: ({ x, y }, sizes) => planeSums(y, sizes, (at) => x[at]! / sizes.plane),
});
