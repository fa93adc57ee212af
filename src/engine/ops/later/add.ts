/**
 * The elementwise sum and difference of two tensors of the same shape; PyTorch's add and sub. A residual block ends in a
 * sum (arXiv 1512.03385 §3.2).
 *
 *   add:      y = a + b,  da = dy,  db = dy
 *   subtract: y = a − b,  da = dy,  db = −dy
 */
import { tapeFor } from "../../inputs.ts";
import { kernel, line, type Kernel } from "../../kernel.ts";
import { record, runElements } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { scaleTo } from "./multiply.ts";
import { requireSameShape } from "../shapes.ts";
import backwardWgsl from "../../../../kernels/wgsl/add_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../../kernels/wgsl/add_forward.wgsl" with { type: "text" };
import subtractWgsl from "../../../../kernels/wgsl/subtract_forward.wgsl" with { type: "text" };

/** a + b. @throws ShapeError when their shapes differ */
export function add(a: Tensor, b: Tensor): Tensor {
  return record(combine("add", a, b, addForward), [a, copyTo], [b, copyTo]);
}

/** a − b. @throws ShapeError when their shapes differ */
export function subtract(a: Tensor, b: Tensor): Tensor {
  const y = combine("subtract", a, b, subtractForward);
  return record(y, [a, copyTo], [b, (db, dy) => scaleTo(db, dy, -1)]);
}

function combine(op: string, a: Tensor, b: Tensor, forward: Kernel<"a" | "b" | "y", "size">): Tensor {
  const tape = tapeFor(op, { a, b });
  requireSameShape(op, a, b);
  const y = tape.allocate(a.shape);
  runElements(forward, { a, b, y }, {});
  return y;
}

/** Writes a gradient that is the output's; the shapes may differ. */
export function copyTo(dx: Tensor, dy: Tensor): void {
  runElements(addBackward, { dy, dx }, {});
}

const common = {
  module: import.meta.url,
  uniforms: { size: "u32" },
  workgroups: ({ size }: { size: number }) => line(size),
} as const;

export const addForward = kernel({
  ...common,
  name: "add_forward",
  wgsl: forwardWgsl,
  buffers: { a: "read", b: "read", y: "write" },
  reference({ a, b, y }, { size }) {
    for (let i = 0; i < size; i++) y[i] = a[i]! + b[i]!;
  },
});

export const addBackward = kernel({
  ...common,
  name: "add_backward",
  wgsl: backwardWgsl,
  buffers: { dy: "read", dx: "write" },
  reference({ dy, dx }, { size }) {
    for (let i = 0; i < size; i++) dx[i] = dy[i]!;
  },
});

export const subtractForward = kernel({
  ...common,
  name: "subtract_forward",
  wgsl: subtractWgsl,
  buffers: addForward.buffers,
  reference({ a, b, y }, { size }) {
    for (let i = 0; i < size; i++) y[i] = a[i]! - b[i]!;
  },
});
