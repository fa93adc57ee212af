/**
 * The ladder of the convolution on a GPU, a WGSL file a rung, each to be read alone. All compute what `conv2dForward` of
 * src/engine/ops/conv2d.ts computes, from the same buffers and uniforms; that kernel and its variants are the rung that is used.
 */
import { kernel, line } from "../../src/engine/kernel.ts";
import { conv2dForward } from "../../src/engine/ops/conv2d.ts";
import naive from "./conv_1_naive.wgsl" with { type: "text" };
import tiled from "./conv_2_tiled.wgsl" with { type: "text" };
import registers from "./conv_3_registers.wgsl" with { type: "text" };

const { buffers, uniforms, reference } = conv2dForward;

/** @param side of the square tile of results that a workgroup computes */
function rung(name: string, wgsl: string, side: number) {
  return kernel({
    name,
    module: import.meta.url,
    wgsl,
    buffers,
    uniforms,
    workgroups({ images, o, oh, ow, groups }) {
      const [x, folds] = line(oh * ow * images, side);
      return [x, Math.ceil(o / groups / side), groups * folds];
    },
    reference,
  });
}

/** Slowest first. */
export const convLadder = [
  kernel({
    ...{ name: "conv_1_naive", module: import.meta.url, wgsl: naive, buffers, uniforms, reference },
    workgroups: ({ images, o, oh, ow }) => line(o * oh * ow * images, 256),
  }),
  rung("conv_2_tiled", tiled, 16),
  rung("conv_3_registers", registers, 64),
] as const;
