/**
 * The GPU's convolution ladder: one self-contained WGSL file per rung. All compute the same as `conv2dForward` in
 * src/engine/ops/conv2d.ts from the same buffers and uniforms; that kernel and its variants are the top rung.
 */
import { kernel, line, type Elements } from "../../src/engine/kernel.ts";
import { conv2dForward } from "../../src/engine/ops/conv2d.ts";
import naive from "./conv_1_naive.wgsl" with { type: "text" };
import tiled from "./conv_2_tiled.wgsl" with { type: "text" };
import registers from "./conv_3_registers.wgsl" with { type: "text" };

// The rungs know nothing of factors and activation functions.
const { scaled: _, activation: _none, ...uniforms } = conv2dForward.uniforms;
const buffers = { x: "read", w: "read", b: "read", y: "write" } as const;

function reference(
  given: Readonly<Record<keyof typeof buffers, Elements>>,
  u: Readonly<Record<keyof typeof uniforms, number>>,
) {
  conv2dForward.reference({ ...given, s: given.b }, { ...u, scaled: 0, activation: 0 });
}

/** @param side of the square tile computed by a workgroup */
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
