/**
 * Tensors one behind the other along the first axis, as PyTorch's cat with dim 0; of C × H × W × N these are the maps:
 *
 *   y[c, …] = x_i[c − C_0 − … − C_(i−1), …],  dx_i = those maps of dy
 *
 * x_i: C_i × …, y: Σ C_i × …. Each is one run of y's memory.
 */
import { ShapeError } from "../../../errors.ts";
import { show } from "../../../options.ts";
import { tapeFor } from "../../inputs.ts";
import { record } from "../../tape.ts";
import { format, type Tensor } from "../../tensor.ts";
import { copyRun } from "./copy.ts";

/** @throws ShapeError unless there is a tensor, and all have the same sides but for the first */
export function concat(tensors: readonly Tensor[]): Tensor {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ShapeError(`concat: the tensors are ${show(tensors)}, must be an array of at least one`);
  }
  const tape = tapeFor("concat", Object.fromEntries(tensors.map((x, i) => [`tensor ${i + 1}`, x])));
  const [, ...sides] = tensors[0]!.shape;
  if (tensors.some(({ shape }) => format(shape.slice(1)) !== format(sides))) {
    const shapes = tensors.map(({ shape }) => format(shape)).join(", ");
    throw new ShapeError(`concat: ${shapes}: must have the same sides but for the first`);
  }
  const y = tape.like(tensors[0]!, [tensors.reduce((total, { shape }) => total + shape[0]!, 0), ...sides]);
  const copy = (x: Tensor, y: Tensor, run: { size: number; xFirst: number; yFirst: number }) =>
    x.backend.run(copyRun, { x: x.buffer, y: y.buffer }, run);
  let end = 0;
  const gradients = tensors.map((x) => {
    const [{ size }, at] = [x, end];
    end += size;
    copy(x, y, { size, xFirst: 0, yFirst: at });
    return [x, (dx: Tensor, dy: Tensor) => copy(dy, dx, { size, xFirst: at, yFirst: 0 })] as const;
  });
  return record(y, ...gradients);
}
