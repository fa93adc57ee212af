// Inverted dropout (paper §4.2): y[i] = x[i] · scale where the first word of Threefry-2x32(key, (i, 0)) is below
// `threshold`, else 0; NaN, which doesn't equal itself, stays NaN. The generator is that of src/random.ts: 20 rounds of
// add, rotate and xor, here for four elements at once.

/**
 * Computes `count` elements from index `start` on. The images are those from `first` on, of a batch of `whole`, to
 * which i refers.
 */
export function dropout(
  start: u32,
  count: u32,
  x: usize,
  y: usize,
  size: u32,
  images: u32,
  first: u32,
  whole: u32,
  key0: u32,
  key1: u32,
  threshold: u32,
  scale: f32,
): void {
  x += (<usize>start) << 2;
  y += (<usize>start) << 2;
  // A run of elements with consecutive i: all of them, unless the images are part of a batch.
  const isWhole = first == 0 && whole == images;
  for (let done: u32 = 0, run: u32 = 0; done < count; done += run) {
    const i = start + done;
    const image = i % images;
    run = isWhole ? count : min(count - done, images - image);
    const offset = (<usize>done) << 2;
    dropRun(x + offset, y + offset, (i / images) * whole + first + image, run, key0, key1, threshold, scale);
  }
}

/** x and y point at element `first`. */
function dropRun(x: usize, y: usize, first: u32, count: u32, key0: u32, key1: u32, threshold: u32, scale: f32): void {
  const end = y + ((<usize>count) << 2);
  const vectors = y + (((<usize>count) >> 2) << 4);
  const scales = f32x4.splat(scale);
  const thresholds = i32x4.splat(threshold);
  let index = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  for (; y < vectors; y += 16, x += 16) {
    const keep = i32x4.lt_u(threefry(key0, key1, index), thresholds);
    const value = v128.load(x);
    v128.store(y, v128.and(f32x4.mul(value, scales), v128.or(keep, f32x4.ne(value, value))));
    index = i32x4.add(index, i32x4.splat(4));
  }
  const words = threefry(key0, key1, index);
  const rest = (end - y) >> 2;
  if (rest > 0) keepOne(x, y, <u32>i32x4.extract_lane(words, 0), threshold, scale);
  if (rest > 1) keepOne(x + 4, y + 4, <u32>i32x4.extract_lane(words, 1), threshold, scale);
  if (rest > 2) keepOne(x + 8, y + 8, <u32>i32x4.extract_lane(words, 2), threshold, scale);
}

function keepOne(x: usize, y: usize, word: u32, threshold: u32, scale: f32): void {
  const value = load<f32>(x);
  store<f32>(y, word < threshold || value != value ? value * scale : 0);
}

/** The first output word for each of four counters (index, 0). */
function threefry(key0: u32, key1: u32, index: v128): v128 {
  const k0 = i32x4.splat(key0);
  const k1 = i32x4.splat(key1);
  const k2 = i32x4.splat(0x1bd11bda ^ key0 ^ key1);
  let a = i32x4.add(index, k0);
  let b = k1;

  // Five times: four rounds, with alternating rotations, then a part of the key.
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 13), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 15), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 26), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 6), a);
  a = i32x4.add(a, k1);
  b = i32x4.add(b, i32x4.add(k2, i32x4.splat(1)));

  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 17), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 29), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 16), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 24), a);
  a = i32x4.add(a, k2);
  b = i32x4.add(b, i32x4.add(k0, i32x4.splat(2)));

  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 13), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 15), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 26), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 6), a);
  a = i32x4.add(a, k0);
  b = i32x4.add(b, i32x4.add(k1, i32x4.splat(3)));

  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 17), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 29), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 16), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 24), a);
  a = i32x4.add(a, k1);
  b = i32x4.add(b, i32x4.add(k2, i32x4.splat(4)));

  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 13), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 15), a);
  a = i32x4.add(a, b);
  b = v128.xor(rotate(b, 26), a);
  a = i32x4.add(a, b);
  return i32x4.add(a, k2);
}

function rotate(words: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(words, bits), i32x4.shr_u(words, 32 - bits));
}
