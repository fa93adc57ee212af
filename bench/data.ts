/** Fast pseudorandom operands, the same for the same seed. */

/** `length` numbers within ±`bound` (xorshift32, ten times as fast as src/random.ts). */
export function numbers(length: number, seed: number, bound = 1): Float32Array {
  const values = new Float32Array(length);
  let state = (seed * 0x9e3779b9) | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = bound * Math.fround(state / 2 ** 31);
  }
  return values;
}

export function bytes(length: number, seed: number): Uint8Array {
  const values = numbers(length, seed);
  const drawn = new Uint8Array(length);
  // Several times as fast as Uint8Array.from.
  for (let i = 0; i < length; i++) drawn[i] = 128 + 127.9 * values[i]!;
  return drawn;
}

/** The columns `picked` of a matrix: some images of a batch. */
export function columnsOf<T extends Float32Array | Float64Array>(
  matrix: T,
  columns: number,
  picked: readonly number[],
): T {
  const rows = matrix.length / columns;
  const part = new (matrix.constructor as new (length: number) => T)(rows * picked.length);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < picked.length; k++) part[row * picked.length + k] = matrix[row * columns + picked[k]!]!;
  }
  return part;
}
