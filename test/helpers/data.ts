/** Random arrays, and comparing arrays with messages that say where they differ and how. */
import { expect } from "bun:test";
import { size } from "../../src/autograd/tensor.ts";
import { Purpose, Random } from "../../src/random.ts";

export type Numbers = ArrayLike<number>;

/** `count` numbers uniform in ±1, that float32 and float64 both hold exactly; the same for the same seed. */
export function randomArray(shape: readonly number[], seed: number): Float32Array {
  const random = new Random(seed, Purpose.drawing);
  return Float32Array.from({ length: size(shape) }, () => 2 * random.uniform() - 1);
}

/** Numbers in ±1 no two of which are equal or closer than 2/count, in random order. */
export function distinctArray(shape: readonly number[], seed: number): Float32Array {
  const count = size(shape);
  return Float32Array.from(new Random(seed, Purpose.drawing).permutation(count), (rank) => (2 * rank + 1) / count - 1);
}

/** The largest difference between two arrays, relative to the largest number of the second one. */
export function largestError(actual: Numbers, expected: Numbers): { error: number; index: number; scale: number } {
  let [difference, index, scale] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!));
    const here = Math.abs(actual[i]! - expected[i]!);
    if (!(here <= difference)) [difference, index] = [here, i];
    if (Number.isNaN(difference)) break;
  }
  return { error: difference === 0 ? 0 : difference / (scale || 1), index, scale };
}

/** Fails unless every number lies within `tolerance` times the largest expected one of what is expected. */
export function expectClose(what: string, actual: Numbers, expected: Numbers, tolerance: number): void {
  expect(`${what}: ${actual.length} numbers`).toBe(`${what}: ${expected.length} numbers`);
  const { error, index, scale } = largestError(actual, expected);
  if (error <= tolerance) return;
  throw new Error(
    `${what}[${index}] is ${actual[index]}, expected ${expected[index]}: ` +
      `off by ${error.toExponential(2)} of the largest (${scale.toPrecision(4)}), allowed ${tolerance}`,
  );
}
