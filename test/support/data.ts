/** Random arrays, and comparing arrays with messages that say where they differ and how. */
import { expect } from "bun:test";
import { size } from "../../src/engine/tensor.ts";
import { Purpose, Random } from "../../src/random.ts";
import { difference, type Numbers } from "../../src/verbs/doctor/numbers.ts";

export { randomArray } from "../../src/engine/cases.ts";
export { largestError, type Numbers } from "../../src/verbs/doctor/numbers.ts";

/** Numbers in ±1 no two of which are equal or closer than 2/count, in random order. */
export function distinctArray(shape: readonly number[], seed: number): Float32Array {
  const count = size(shape);
  return Float32Array.from(new Random(seed, Purpose.drawing).permutation(count), (rank) => (2 * rank + 1) / count - 1);
}

/** Fails unless every number lies within `tolerance` times the largest expected one of what is expected. */
export function expectClose(what: string, actual: Numbers, expected: Numbers, tolerance: number): void {
  expect(difference(what, actual, expected, tolerance)).toBeUndefined();
}
