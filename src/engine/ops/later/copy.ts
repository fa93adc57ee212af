/** Copies of runs of numbers, for joints of tensors and for gradients that are the output's. */
import { fourEach, kernel, line, u32s } from "../../kernel.ts";
import { runElements } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import wgsl from "../../../../kernels/wgsl/copy_run.wgsl" with { type: "text" };

/** Writes a gradient that is the output's; the shapes may differ. */
export function copyTo(dx: Tensor, dy: Tensor): void {
  runElements(copyRun, { x: dy, y: dx }, { xFirst: 0, yFirst: 0 });
}

export const copyRun = kernel({
  name: "copy_run",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "update" },
  uniforms: u32s("size", "xFirst", "yFirst"),
  workgroups: ({ size }) => line(size),
  variants: [
    {
      ...fourEach("copy_run", wgsl),
      fits: ({ size, xFirst, yFirst }) => size % 4 === 0 && xFirst % 4 === 0 && yFirst % 4 === 0,
    },
  ],
  reference({ x, y }, { size, xFirst, yFirst }) {
    for (let i = 0; i < size; i++) y[yFirst + i] = x[xFirst + i]!;
  },
});
