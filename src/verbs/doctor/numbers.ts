/** Compares arrays of numbers, for the doctor and the tests. */
export type Values = ArrayLike<number>;

/**
 * The largest difference between two arrays, relative to the largest finite number expected. NaN and infinities must be
 * equal; otherwise the error is NaN.
 */
export function largestError(actual: Values, expected: Values): { error: number; index: number; scale: number } {
  let [difference, index, scale] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]!));
    else if (Object.is(actual[i], expected[i])) continue;
    const here = Number.isFinite(expected[i]) ? Math.abs(actual[i]! - expected[i]!) : NaN;
    if (!(here <= difference)) [difference, index] = [here, i];
    if (Number.isNaN(difference)) break;
  }
  return { error: difference === 0 ? 0 : difference / (scale || 1), index, scale };
}

/**
 * The largest difference in words if it exceeds `tolerance` times the largest number expected; with a tolerance of 0,
 * the first difference in any bit. Undefined if there is none.
 */
export function difference(what: string, actual: Values, expected: Values, tolerance: number): string | undefined {
  if (actual.length !== expected.length) return `${what}: ${actual.length} numbers instead of ${expected.length}`;
  if (tolerance === 0) {
    const index = Array.prototype.findIndex.call(expected, (value, i) => !Object.is(actual[i], value));
    return index < 0 ? undefined : `${what}[${index}] is ${actual[index]} instead of ${expected[index]}`;
  }
  const { error, index, scale } = largestError(actual, expected);
  if (error <= tolerance) return undefined;
  return (
    `${what}[${index}] is ${actual[index]} instead of ${expected[index]}: ` +
    `off by ${error.toExponential(2)} of the largest (${scale.toPrecision(4)}), allowed ${tolerance}`
  );
}
