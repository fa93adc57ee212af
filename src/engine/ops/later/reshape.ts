/**
 * Another shape for the same elements in the same order, as PyTorch's reshape:
 *
 *   y = x,  dx = dy
 *
 * y is a view: it has no memory of its own, and lives and is kept as long as x, which a tape never frees before what was
 * computed from it. The gradient is copied, since dy is freed before dx.
 */
import { ShapeError } from "../../../errors.ts";
import { tapeFor } from "../../inputs.ts";
import { record } from "../../tape.ts";
import { checkedSize, format, Tensor } from "../../tensor.ts";
import { copyTo } from "./copy.ts";

/** @throws ShapeError unless the shape has as many elements as x */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  tapeFor("reshape", { x });
  const size = checkedSize("reshape", shape);
  if (size !== x.size) {
    throw new ShapeError(
      `reshape: ${format(x.shape)} to ${format(shape)}: ${x.size} elements don't fill a shape of ${size}`,
    );
  }
  return record(new View(x, shape), [x, copyTo]);
}

class View extends Tensor {
  readonly #whole: Tensor;

  constructor(whole: Tensor, shape: readonly number[]) {
    super(whole.backend, shape, whole.buffer, whole.tape);
    this.#whole = whole;
  }

  override get buffer() {
    return this.#whole.buffer;
  }

  override get isReleased(): boolean {
    return this.#whole.isReleased;
  }

  override keep(): this {
    this.#whole.keep();
    return super.keep();
  }
}
