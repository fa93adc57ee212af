/**
 * The product of a tensor and a number:
 *
 *   y = factor · x,  dx = factor · dy
 *
 * The kernel can also give every element of a plane the same: y[c, p, n] = factor · x[c, n], with y: C × P × N. That is
 * the gradient of a sum over the plane.
 */
import { requireNumber } from "../../options.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line } from "../kernel.ts";
import { record, runElements } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import wgsl from "../../../kernels/wgsl/scale.wgsl" with { type: "text" };

/** factor · x; any shape. @throws ShapeError unless the factor is finite */
export function scale(x: Tensor, factor: number): Tensor {
  const tape = tapeFor("scale", { x });
  requireNumber("scale", { factor });
  const y = tape.allocate(x.shape);
  scaleTo(y, x, factor);
  return record(y, [x, (dx, dy) => scaleTo(dx, dy, factor)]);
}

/** Writes factor · x to y: element by element, or each to a `plane` of them, `images` apart. */
export function scaleTo(y: Tensor, x: Tensor, factor: number, plane = 1, images = 1): void {
  // Planes can't be cut, unless it is only one.
  const row = x.size === 1 || x.size === y.size ? 1 : y.size;
  runElements(scaleKernel, { x, y }, { plane, images, factor }, row);
}

export const scaleKernel = kernel({
  name: "scale",
  module: import.meta.url,
  wgsl,
  buffers: { x: "read", y: "write" },
  uniforms: { size: "u32", plane: "u32", images: "u32", factor: "f32" },
  workgroups: ({ size }) => line(size),
  reference({ x, y }, { size, plane, images, factor }) {
    for (let i = 0; i < size; i++) y[i] = factor * x[inMap(i, plane, images)]!;
  },
});

/** The element of a C × N array that belongs to element `i` of a C × P × N array, P being `plane`. */
export function inMap(i: number, plane: number, images: number): number {
  return Math.floor(i / (plane * images)) * images + (i % images);
}
