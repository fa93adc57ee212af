/**
 * Products of a tensor and a number, and of two tensors, element by element; PyTorch's mul:
 *
 *   scale:    y = factor · x,  dx = factor · dy
 *   multiply: y = a · b,       da = dy · b,  db = dy · a
 *
 * a and b are of one shape; or a is C × H × W × N and b is C × 1 × 1 × N, a factor for each map of each image, as a
 * squeeze-and-excitation block computes it (arXiv 1709.01507 §3). That is the only broadcasting there is in this engine:
 *
 *   y[c, p, n] = a[c, p, n] · b[c, n],  db[c, n] = Σ_p dy[c, p, n] · a[c, p, n],  p over the P = H · W pixels
 *
 * The kernels take the P of that as `plane`, which is 1 for tensors of one shape. With a plane, scale gives each pixel
 * the same: y[c, p, n] = factor · x[c, n], the gradient of a sum over the plane.
 */
import { ShapeError } from "../../../errors.ts";
import { requireNumber } from "../../../options.ts";
import { tapeFor } from "../../inputs.ts";
import { kernel, line, u32s, type Elements } from "../../kernel.ts";
import { record, runElements } from "../../tape.ts";
import { format, type Tensor } from "../../tensor.ts";
import multiplyWgsl from "../../../../kernels/wgsl/multiply.wgsl" with { type: "text" };
import dotWgsl from "../../../../kernels/wgsl/plane_dot.wgsl" with { type: "text" };
import scaleWgsl from "../../../../kernels/wgsl/scale.wgsl" with { type: "text" };

/** factor · x; any shape. @throws ShapeError unless the factor is finite */
export function scale(x: Tensor, factor: number): Tensor {
  const tape = tapeFor("scale", { x });
  requireNumber("scale", { factor });
  const y = tape.like(x);
  scaleTo(y, x, factor);
  return record(y, [x, (dx, dy) => scaleTo(dx, dy, factor)]);
}

/** Writes factor · x to y: element by element, or each to a `plane` of them that are `images` apart. */
export function scaleTo(y: Tensor, x: Tensor, factor: number, plane = 1, images = 1): void {
  // Several planes can't be cut.
  const row = x.size === 1 || x.size === y.size ? 1 : y.size;
  runElements(scaleKernel, { x, y }, { plane, images, factor }, row);
}

/** a · b. @throws ShapeError unless they are of one shape, or C × H × W × N and C × 1 × 1 × N */
export function multiply(a: Tensor, b: Tensor): Tensor {
  const tape = tapeFor("multiply", { a, b });
  const [maps = 1, h = 1, w = 1, n = 1] = a.shape;
  const isSame = format(a.shape) === format(b.shape);
  if (!isSame && (a.shape.length !== 4 || format(b.shape) !== format([maps, 1, 1, n]))) {
    throw new ShapeError(
      `multiply: ${format(a.shape)} and ${format(b.shape)}: must be of one shape, or C × H × W × N and C × 1 × 1 × N`,
    );
  }
  const [plane, images] = isSame ? [1, 1] : [h * w, n];
  const product = (y: Tensor, a: Tensor, b: Tensor) =>
    runElements(multiplyKernel, { a, b, y }, { plane, images }, isSame ? 1 : y.size);
  const dots = (y: Tensor, a: Tensor, b: Tensor) =>
    y.backend.run(planeDot, { a: a.buffer, b: b.buffer, y: y.buffer }, { maps, plane, images });
  const y = tape.like(a);
  product(y, a, b);
  return record(y, [a, (da, dy) => product(da, dy, b)], [b, (db, dy) => (isSame ? product : dots)(db, dy, a)]);
}

export const scaleKernel = kernel({
  name: "scale",
  module: import.meta.url,
  wgsl: scaleWgsl,
  buffers: { x: "read", y: "write" },
  uniforms: { size: "u32", plane: "u32", images: "u32", factor: "f32" },
  workgroups: ({ size }) => line(size),
  reference({ x, y }, { size, plane, images, factor }) {
    for (let i = 0; i < size; i++) y[i] = factor * x[inMap(i, plane, images)]!;
  },
});

export const multiplyKernel = kernel({
  name: "multiply",
  module: import.meta.url,
  wgsl: multiplyWgsl,
  buffers: { a: "read", b: "read", y: "write" },
  uniforms: u32s("size", "plane", "images"),
  workgroups: ({ size }) => line(size),
  reference({ a, b, y }, { size, plane, images }) {
    for (let i = 0; i < size; i++) y[i] = a[i]! * b[inMap(i, plane, images)]!;
  },
});

export const planeDot = kernel({
  name: "plane_dot",
  module: import.meta.url,
  wgsl: dotWgsl,
  buffers: { a: "read", b: "read", y: "write" },
  uniforms: u32s("maps", "plane", "images"),
  // A workgroup for each map of every 32 images.
  workgroups: ({ maps, images }) => line(maps * Math.ceil(images / 32), 1),
  reference: ({ a, b, y }, sizes) => planeSums(y, sizes, (at) => a[at]! * b[at]!),
});

type PlaneSizes = Readonly<Record<"maps" | "plane" | "images", number>>;

/** y[c, n] = Σ_p term at [c, p, n], for a reference loop. */
export function planeSums(y: Elements, { maps, plane, images }: PlaneSizes, term: (at: number) => number): void {
  for (let i = 0; i < maps * images; i++) {
    const first = Math.floor(i / images) * plane * images + (i % images);
    let sum = 0;
    for (let p = 0; p < plane; p++) sum += term(first + p * images);
    y[i] = sum;
  }
}

/** The element of a C × N array that belongs to element `i` of a C × P × N array. */
function inMap(i: number, plane: number, images: number): number {
  return Math.floor(i / (plane * images)) * images + (i % images);
}
