// Rescales RGB images, 8 bits per channel, identically to Pillow: first along the rows, then along the columns, each
// sum rounded to 8 bits. Each result is a weighted sum of at most `taps` neighbours:
//
//   y[i] = (2²¹ + Σ_k weights[i, k] · x[first[i] + k]) / 2²², limited to 0 … 255
//
// table: for every result, its first neighbour, the number of neighbours, and their weights in units of 2⁻²²: 2 + taps
// integers. The last bytes of images are read 16 at a time, so a few bytes beyond them must be readable.

const HALF = 1 << 21;
const BITS = 22;

function widenLow(bytes: v128): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
}

function narrow(sums: v128): v128 {
  const words = i32x4.shr_s(sums, BITS);
  const halves = i16x8.narrow_i32x4_s(words, words);
  return i8x16.narrow_i16x8_u(halves, halves);
}

/**
 * Along the rows: y[r, i, c] from x[r, ·, c]. Rows of x are `pitch` bytes apart, those of y `yPitch` ≥ 3 · columns + 1.
 * Two rows at a time, since they share the weights.
 */
export function resizeRows(
  x: usize,
  pitch: i32,
  rows: i32,
  table: usize,
  taps: i32,
  columns: i32,
  y: usize,
  yPitch: i32,
): void {
  const entry = (<usize>(taps + 2)) << 2;
  for (let r = 0; r < rows; r += 2) {
    const upper = x + <usize>r * pitch;
    // The last of an odd number of rows is computed twice.
    const second = r + 1 < rows;
    const lower = second ? upper + pitch : upper;
    const out = y + <usize>r * yPitch;
    const below = second ? out + yPitch : out;
    let weights = table;
    for (let i = 0; i < columns; i++, weights += entry) {
      const first = <usize>load<i32>(weights) * 3;
      const count = load<i32>(weights, 4);
      let a = i32x4.splat(HALF);
      let b = a;
      let at = weights + 8;
      for (let k: usize = first, end = first + 3 * count; k < end; k += 3, at += 4) {
        const weight = v128.load32_splat(at);
        a = i32x4.add(a, i32x4.mul(widenLow(v128.load32_zero(upper + k)), weight));
        b = i32x4.add(b, i32x4.mul(widenLow(v128.load32_zero(lower + k)), weight));
      }
      // The fourth byte is the next result's first, which is written after it, or padding.
      store<i32>(out + 3 * i, i32x4.extract_lane(narrow(a), 0));
      store<i32>(below + 3 * i, i32x4.extract_lane(narrow(b), 0));
    }
  }
}

/**
 * Along the columns: y[i, j] from x[·, j], j < bytes. Rows of x are `pitch` bytes apart, those of y `yPitch` ≥ bytes.
 */
export function resizeColumns(
  x: usize,
  pitch: i32,
  bytes: i32,
  table: usize,
  taps: i32,
  rows: i32,
  y: usize,
  yPitch: i32,
): void {
  const entry = (<usize>(taps + 2)) << 2;
  for (let i = 0; i < rows; i++, table += entry, y += yPitch) {
    const start = x + <usize>load<i32>(table) * pitch;
    const count = load<i32>(table, 4);
    for (let j: usize = 0; j < <usize>bytes; j += 8) {
      let a = i32x4.splat(HALF);
      let b = a;
      let from = start + j;
      for (let k = 0; k < count; k++, from += pitch) {
        const weight = v128.load32_splat(table + 8 + ((<usize>k) << 2));
        const words = v128.load8x8_u(from);
        a = i32x4.add(a, i32x4.mul(i32x4.extend_low_i16x8_u(words), weight));
        b = i32x4.add(b, i32x4.mul(i32x4.extend_high_i16x8_u(words), weight));
      }
      const halves = i16x8.narrow_i32x4_s(i32x4.shr_s(a, BITS), i32x4.shr_s(b, BITS));
      const packed = i8x16.narrow_i16x8_u(halves, halves);
      if (j + 8 <= <usize>bytes) v128.store64_lane(y + j, packed, 0);
      else for (let k: usize = 0; j + k < <usize>bytes; k++) store<u8>(y + j + k, load8(packed, k));
    }
  }
}

function load8(bytes: v128, k: usize): u8 {
  return <u8>(i64x2.extract_lane(bytes, 0) >> ((<i64>k) << 3));
}
