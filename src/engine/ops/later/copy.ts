/** y = x, for gradients that are the output's. */
import { kernel, line } from "../../kernel.ts";
import { runElements } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import backwardWgsl from "../../../../kernels/wgsl/add_backward.wgsl" with { type: "text" };

/** Writes a gradient that is the output's; the shapes may differ. */
export function copyTo(dx: Tensor, dy: Tensor): void {
  runElements(addBackward, { dy, dx }, {});
}

export const addBackward = kernel({
  name: "add_backward",
  module: import.meta.url,
  wgsl: backwardWgsl,
  buffers: { dy: "read", dx: "write" },
  uniforms: { size: "u32" },
  workgroups: ({ size }) => line(size),
  reference({ dy, dx }, { size }) {
    for (let i = 0; i < size; i++) dx[i] = dy[i]!;
  },
});
