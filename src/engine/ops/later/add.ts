/**
 * The elementwise sum and difference of two tensors of the same shape; PyTorch's add and sub. A residual block ends in a
 * sum (arXiv 1512.03385 §3.2).
 *
 *   add:      y = f(a + b),  da = db = dz,  z = a + b, f an activation function (epilogue.ts), or none
 *   subtract: y = a − b,     da = dy,  db = −dy
 */
import { checkOptions } from "../../../options.ts";
import { tapeFor } from "../../inputs.ts";
import { FOUR_BITS, fourEach, kernel, line, type Kernel } from "../../kernel.ts";
import { record, runElements } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { copyTo } from "./copy.ts";
import { activated, activationNumber, beforeActivation, type Activation } from "./epilogue.ts";
import { scaleTo } from "./multiply.ts";
import { requireSameShape } from "../shapes.ts";
import forwardWgsl from "../../../../kernels/wgsl/add_forward.wgsl" with { type: "text" };
import subtractWgsl from "../../../../kernels/wgsl/subtract_forward.wgsl" with { type: "text" };

export interface AddOptions {
  /** Applied to the sum. */
  readonly activation?: Activation | undefined;
}

/** f(a + b). @throws ShapeError when their shapes differ; UsageError for an unknown option */
export function add(a: Tensor, b: Tensor, options: AddOptions = {}): Tensor {
  checkOptions("add", options, { activation: "any?" });
  const activation = activationNumber("add", options.activation);
  const y = combine("add", a, b, addForward, { activation });
  y.activation = activation;
  y.tape!.record({
    inputs: [a, b],
    output: y,
    saved: [],
    reads: activation ? [y] : [],
    backward(dy) {
      const dz = beforeActivation(y, dy, activation);
      const [first, ...rest] = [a, b].filter(({ requiresGrad }) => requiresGrad);
      for (const input of rest) y.tape!.accumulate(input, (to) => copyTo(to, dz));
      if (!y.tape!.takeOver(first!, y)) y.tape!.accumulate(first!, (to) => copyTo(to, dz));
    },
  });
  return y;
}

/** a − b. @throws ShapeError when their shapes differ */
export function subtract(a: Tensor, b: Tensor): Tensor {
  const y = combine("subtract", a, b, subtractForward, {});
  return record(y, [a, copyTo], [b, (db, dy) => scaleTo(db, dy, -1)]);
}

function combine<U extends string>(
  op: string,
  a: Tensor,
  b: Tensor,
  forward: Kernel<"a" | "b" | "y", U | "size">,
  uniforms: Readonly<Record<Exclude<U, "size">, number>>,
): Tensor {
  const tape = tapeFor(op, { a, b });
  requireSameShape(op, a, b);
  const y = tape.like(a);
  runElements(forward, { a, b, y }, uniforms);
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
  uniforms: { size: "u32", activation: "u32" },
  variants: [fourEach("add_forward", forwardWgsl, FOUR_BITS)],
  reference({ a, b, y }, { size, activation }) {
    for (let i = 0; i < size; i++) y[i] = activated(a[i]! + b[i]!, activation);
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
