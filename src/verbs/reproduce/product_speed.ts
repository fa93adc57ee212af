/** How fast a device multiplies matrices: beside the result of a race, a measure of the machine. */
import { openDevice, type DeviceOptions } from "../../devices/open.ts";
import { matmul } from "../../engine/ops/linear.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";

const SIDE = 1024;
/** Products in a row, so that reading the last doesn't count. */
const PRODUCTS = 8;
const TRIES = 4;

/** GFLOP/s in products of 1024 × 1024 matrices in float32, the best of a few tries. @throws DeviceError */
export async function productSpeed(options: DeviceOptions): Promise<number> {
  await using backend = await openDevice(options);
  const values = Float32Array.from({ length: SIDE * SIDE }, (_, i) => (i % 7) - 3);
  let best = Infinity;
  for (let k = 0; k < TRIES; k++) {
    const tape = new Tape(backend, { record: false });
    const [a, b] = [tape.input([SIDE, SIDE], values), tape.input([SIDE, SIDE], values)];
    const start = performance.now();
    let product: Tensor = b;
    for (let i = 0; i < PRODUCTS; i++) product = matmul(a, b);
    await product.read();
    best = Math.min(best, performance.now() - start);
    tape.release();
  }
  return (PRODUCTS * 2 * SIDE ** 3) / best / 1e6;
}
