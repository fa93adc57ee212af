/**
 * Sums over all elements of a tensor of any shape, to a scalar that `backward` takes as a loss:
 *
 *   sum:              y = Σ_i x_i,                          dx_i = dy
 *   mean:             y = Σ_i x_i / size,                   dx_i = dy / size
 *   meanSquaredError: y = Σ_i (x_i − target_i)² / size,     dx_i = 2 · (x_i − target_i) · dy / size = −dtarget_i
 *
 * PyTorch's sum, mean and mse_loss.
 */
import { view } from "../../backend.ts";
import { tapeFor } from "../../inputs.ts";
import { poolOf } from "../../pool.ts";
import { pieces, record } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { subtract } from "./add.ts";
import { multiply, scale, scaleTo } from "./multiply.ts";
import { rowSum } from "../row_sum.ts";
import { requireSameShape } from "../shapes.ts";

/** @returns Σ x, of shape [1] */
export function sum(x: Tensor): Tensor {
  const y = tapeFor("sum", { x }).allocate([1]);
  addUp(x, y);
  return record(y, [x, (dx, dy) => scaleTo(dx, dy, 1, x.size)]);
}

/** @returns Σ x / size, of shape [1] */
export function mean(x: Tensor): Tensor {
  tapeFor("mean", { x });
  return scale(sum(x), 1 / x.size);
}

/** The mean of (x − target)², of shape [1]. @throws ShapeError when the shapes differ */
export function meanSquaredError(x: Tensor, target: Tensor): Tensor {
  tapeFor("meanSquaredError", { x, target });
  requireSameShape("meanSquaredError", x, target);
  const error = subtract(x, target);
  return mean(multiply(error, error));
}

/** A tensor is cut into so many rows to be added up, to keep a device busy; a multiple of 64, so that views are aligned. */
const ROWS = 256;

/** Writes Σ x to y: the sums of equal rows and of what is left over, then their sum. */
function addUp(x: Tensor, y: Tensor): void {
  const runs = pieces(x, ROWS)
    .flatMap(([offset, size]) => {
      const rest = size % ROWS;
      return [
        { offset, rows: ROWS, columns: (size - rest) / ROWS },
        { offset: offset + size - rest, rows: 1, columns: rest },
      ];
    })
    .filter(({ columns }) => columns > 0);
  const count = runs.reduce((total, { rows }) => total + rows, 0);
  const pool = poolOf(x.backend);
  const sums = pool.take("f32", count);
  let first = 0;
  for (const { offset, rows, columns } of runs) {
    const given = { x: view(x.buffer, offset, rows * columns), y: view(sums, first, rows) };
    x.backend.run(rowSum, given, { rows, columns });
    first += rows;
  }
  x.backend.run(rowSum, { x: sums, y: y.buffer }, { rows: 1, columns: count });
  pool.give(sums);
}
