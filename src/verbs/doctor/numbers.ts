/** How far one array is from another: for the doctor and the tests. */
export type Numbers = ArrayLike<number>;

/**
 * The largest difference between two arrays, relative to the largest finite number of the second one. Where that has NaN
 * or infinity the first must have it too: else the error is NaN.
 */
export function largestError(actual: Numbers, expected: Numbers): { error: number; index: number; scale: number } {
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
 * What is wrong, in words, unless every number lies within `tolerance` times the largest expected one of what is
 * expected; with a tolerance of 0, unless all bits are the same.
 */
export function difference(what: string, actual: Numbers, expected: Numbers, tolerance: number): string | undefined {
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
