/** Random arrays, and comparing arrays with messages that say where they differ and how. */
import { expect } from "bun:test";
import { size } from "../../src/engine/tensor.ts";
import { Purpose, Random } from "../../src/random.ts";
import { difference, type Values } from "../../src/verbs/doctor/numbers.ts";

export { randomArray } from "../../src/engine/cases.ts";
export { largestError, type Values } from "../../src/verbs/doctor/numbers.ts";

/** Numbers in ±1 no two of which are equal or closer than 2/count, in random order. */
export function distinctArray(shape: readonly number[], seed: number): Float32Array {
  const count = size(shape);
  return Float32Array.from(new Random(seed, Purpose.drawing).permutation(count), (rank) => (2 * rank + 1) / count - 1);
}

/** Fails if any number is off by more than `tolerance` times the largest number expected. */
export function expectClose(what: string, actual: Values, expected: Values, tolerance: number): void {
  expect(difference(what, actual, expected, tolerance)).toBeUndefined();
}
