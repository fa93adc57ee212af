/** What the comparisons with PyTorch's golden files share: how numbers are drawn, and how far some are from others. */
import { expect } from "bun:test";
import { Purpose, Random } from "../../src/random.ts";

/** What `signed` in make_golden.py draws. */
export function signed(size: number, bound: number, random: Random): Float32Array {
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = (2 * random.uniform() - 1) * bound;
  return values;
}

/** ‖actual − expected‖ / ‖expected‖, or / `least` if that is larger. */
export function distance(actual: ArrayLike<number>, expected: readonly number[], least = 0): number {
  return Math.hypot(...expected.map((e, i) => actual[i]! - e)) / Math.max(Math.hypot(...expected), least);
}

export function expectWithin(what: string, error: number, tolerance: number): void {
  expect(error <= tolerance, `${what}: off by ${error.toExponential(2)}, allowed ${tolerance}`).toBe(true);
}

/** A tensor's norm and some of its elements, as `digest` in make_golden.py takes them. */
export interface Digest {
  readonly norm: number;
  readonly samples: readonly number[];
}

/**
 * Compares a tensor with the digest of the `index`-th.
 * @param least smaller norms count as this large
 */
export function compareDigest(
  what: string,
  values: ArrayLike<number>,
  { norm, samples }: Digest,
  {
    seed,
    index,
    tolerance,
    least = 0,
  }: { seed: number; index: number; tolerance: Record<"norm" | "samples", number>; least?: number },
): void {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  expectWithin(`norm of ${what}`, Math.abs(Math.sqrt(sum) - norm) / Math.max(norm, least), tolerance.norm);
  const random = new Random(seed, Purpose.drawing, 1, index);
  const drawn = samples.map(() => values[random.integer(values.length)]!);
  expectWithin(`samples of ${what}`, distance(drawn, samples, least), tolerance.samples);
}
