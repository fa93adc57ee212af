/** Checks that what was timed is right, at the size that was timed. */
import type { HostArray } from "../src/engine/backend.ts";
import { Purpose, Random } from "../src/random.ts";

/** A result is wrong: its time is not reported. */
export class WrongResult extends Error {}

/** How many numbers of a product are recomputed: all of them would take the host minutes. */
const SAMPLES = 200;
/** Relative to the root mean square of the exact numbers; one missing product of 4096 is an error of about 1 / 64. */
const PRODUCT_TOLERANCE = 1e-3;
/** Relative to the largest exact number, for kernels with short sums. */
const ELEMENT_TOLERANCE = 1e-5;

/**
 * Compares SAMPLES random numbers with `exact` in float64; all others must be finite.
 * @returns how the result was checked
 * @throws WrongResult
 */
export function checkSamples(found: HostArray, exact: (index: number) => number): string {
  requireFinite(found);
  const random = new Random(0, Purpose.drawing, found.length);
  const places = Array.from({ length: Math.min(SAMPLES, found.length) }, () => random.integer(found.length));
  const expected = places.map(exact);
  const scale = Math.sqrt(expected.reduce((sum, value) => sum + value ** 2, 0) / expected.length);
  places.forEach((place, i) => requireNear(place, found[place]!, expected[i]!, PRODUCT_TOLERANCE * scale));
  return `${places.length} of ${found.length} numbers in float64, all finite`;
}

/** Compares all numbers of `found` with `expected`. @returns `what` @throws WrongResult */
export function checkAll(found: HostArray, expected: HostArray, what: string): string {
  if (found.length !== expected.length) throw new WrongResult(`${found.length} numbers, not ${expected.length}`);
  let scale = 0;
  for (const value of expected) scale = Math.max(scale, Math.abs(value));
  for (let i = 0; i < expected.length; i++) requireNear(i, found[i]!, expected[i]!, ELEMENT_TOLERANCE * scale);
  return what;
}

/** @throws WrongResult for NaN or infinity, as in results that were never written */
export function requireFinite(found: HostArray): void {
  for (let i = 0; i < found.length; i++) {
    if (!Number.isFinite(found[i]!)) throw new WrongResult(`number ${i} of ${found.length} is ${found[i]}`);
  }
}

function requireNear(place: number, found: number, expected: number, tolerance: number): void {
  // False for NaN too.
  if (Math.abs(found - expected) <= tolerance) return;
  throw new WrongResult(`number ${place} is ${found}, should be ${expected} ± ${tolerance.toPrecision(2)}`);
}
