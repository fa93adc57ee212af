/**
 * The elementwise sum of two tensors of the same shape, as at the end of a residual block (arXiv 1512.03385 §3.2):
 *
 *   y = a + b,  da = dy,  db = dy
 */
import { ShapeError } from "../../errors.ts";
import { view } from "../backend.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line } from "../kernel.ts";
import { pieces } from "../tape.ts";
import { format, type Tensor } from "../tensor.ts";
import backwardWgsl from "../../../kernels/wgsl/add_backward.wgsl" with { type: "text" };
import forwardWgsl from "../../../kernels/wgsl/add_forward.wgsl" with { type: "text" };

/** a + b. @throws ShapeError when their shapes differ */
export function add(a: Tensor, b: Tensor): Tensor {
  const tape = tapeFor("add", { a, b });
  if (format(a.shape) !== format(b.shape)) {
    throw new ShapeError(`add: shapes ${format(a.shape)} and ${format(b.shape)}: must be the same`);
  }
  const y = tape.allocate(a.shape);
  const { backend } = a;
  for (const [offset, size] of pieces(a)) {
    const [ofA, ofB, ofY] = [a, b, y].map((tensor) => view(tensor.buffer, offset, size));
    backend.run(addForward, { a: ofA!, b: ofB!, y: ofY! }, { size });
  }
  const copyTo = (dy: Tensor) => (dx: Tensor) => {
    for (const [offset, size] of pieces(dy)) {
      backend.run(addBackward, { dy: view(dy.buffer, offset, size), dx: view(dx.buffer, offset, size) }, { size });
    }
  };
  tape.record({
    inputs: [a, b],
    output: y,
    saved: [],
    backward(dy) {
      tape.accumulate(a, copyTo(dy));
      tape.accumulate(b, copyTo(dy));
    },
  });
  return y;
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
