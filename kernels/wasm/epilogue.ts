// What kernels do with their sums while these are in the cache, and its gradient. `activation`: 0 none, 1 ReLU, 2 ReLU6.
// NaN stays NaN: WebAssembly's max and min return NaN if either operand is, and comparisons with NaN are false.

/** to[i] = f(to[i] · scale + shift), i < count, f the activation function. */
export function finishFloats(to: usize, count: i32, scale: f32, shift: f32, activation: i32): void {
  const end = to + ((<usize>count) << 2);
  const vectors = to + (((<usize>count) >> 2) << 4);
  const scales = f32x4.splat(scale);
  const shifts = f32x4.splat(shift);
  for (; to < vectors; to += 16) {
    v128.store(to, activated(f32x4.add(f32x4.mul(v128.load(to), scales), shifts), activation));
  }
  for (; to < end; to += 4) {
    const z = v128.load32_splat(to);
    v128.store_lane<f32>(to, activated(f32x4.add(f32x4.mul(z, scales), shifts), activation), 0);
  }
}

/** f(z) */
export function activated(z: v128, activation: i32): v128 {
  if (activation == 0) return z;
  return f32x4.max(f32x4.splat(0), activation == 1 ? z : f32x4.min(f32x4.splat(6), z));
}

/** dy, or 0 where f has no slope at z or y. */
export function throughActivation(dy: v128, y: v128, activation: i32): v128 {
  if (activation == 0) return dy;
  const isLow = f32x4.le(y, f32x4.splat(0));
  return v128.andnot(dy, activation == 1 ? isLow : v128.or(isLow, f32x4.ge(y, f32x4.splat(6))));
}

/** dy = 0 where y = f(z) has no slope, on `count` floats from index `start` on. */
export function epilogueBackward(start: i32, count: i32, y: usize, dy: usize, size: i32, activation: i32): void {
  y += (<usize>start) << 2;
  dy += (<usize>start) << 2;
  const end = dy + ((<usize>count) << 2);
  const vectors = dy + (((<usize>count) >> 2) << 4);
  for (; dy < vectors; dy += 16, y += 16) v128.store(dy, throughActivation(v128.load(dy), v128.load(y), activation));
  for (; dy < end; dy += 4, y += 4) {
    v128.store_lane<f32>(dy, throughActivation(v128.load32_splat(dy), v128.load32_splat(y), activation), 0);
  }
}
