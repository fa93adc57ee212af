/** Whether what was timed is right, at the size that was timed. */
import type { HostArray } from "../src/engine/backend.ts";
import { Purpose, Random } from "../src/random.ts";

/** A result is not what it should be: its time is not reported. */
export class WrongResult extends Error {}

/** So many numbers of a product are computed anew: all of them would take the host minutes. */
const SAMPLES = 200;
/** As a part of the root mean square of the exact numbers; one product too few in 4096 is off by some 1 / 64 of it. */
const PRODUCT_TOLERANCE = 1e-3;
/** As a part of the largest exact number, for kernels that add up few numbers. */
const ELEMENT_TOLERANCE = 1e-5;

/**
 * Compares SAMPLES numbers, drawn at random, with what `exact` computes in float64; all others must be finite.
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

/** Compares all numbers of `found` with `expected`. @throws WrongResult */
export function checkAll(found: HostArray, expected: HostArray, what: string): string {
  if (found.length !== expected.length) throw new WrongResult(`${found.length} numbers, not ${expected.length}`);
  let scale = 0;
  for (const value of expected) scale = Math.max(scale, Math.abs(value));
  for (let i = 0; i < expected.length; i++) requireNear(i, found[i]!, expected[i]!, ELEMENT_TOLERANCE * scale);
  return what;
}

/** @throws WrongResult for a NaN or an infinity, such as a result that was never written */
export function requireFinite(found: HostArray): void {
  for (let i = 0; i < found.length; i++) {
    if (!Number.isFinite(found[i]!)) throw new WrongResult(`number ${i} of ${found.length} is ${found[i]}`);
  }
}

function requireNear(place: number, found: number, expected: number, tolerance: number): void {
  // Also caught: NaN.
  if (Math.abs(found - expected) <= tolerance) return;
  throw new WrongResult(`number ${place} is ${found}, should be ${expected} ± ${tolerance.toPrecision(2)}`);
}
