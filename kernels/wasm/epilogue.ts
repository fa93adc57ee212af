// What kernels do with their sums while these are in the cache, and its gradient. `activation`: 0 none, 1 ReLU, 2 ReLU6.
//
// An activation function f is its two bounds; a bound that it lacks is NaN, since comparisons with NaN are false. A NaN
// among the numbers stays NaN and passes gradients for the same reason: f32x4.pmax(a, b) is b where a < b, otherwise a.

/** to[i] = f(to[i] · scale + shift), i < count, f the activation function. */
export function finishFloats(to: usize, count: i32, scale: f32, shift: f32, activation: i32): void {
  const end = to + ((<usize>count) << 2);
  const vectors = to + (((<usize>count) >> 2) << 4);
  const scales = f32x4.splat(scale);
  const shifts = f32x4.splat(shift);
  const low = lowest(activation);
  const high = highest(activation);
  for (; to < vectors; to += 16) {
    v128.store(to, activated(f32x4.add(f32x4.mul(v128.load(to), scales), shifts), low, high));
  }
  for (; to < end; to += 4) {
    const z = v128.load32_splat(to);
    v128.store_lane<f32>(to, activated(f32x4.add(f32x4.mul(z, scales), shifts), low, high), 0);
  }
}

/** f's lower bound. */
export function lowest(activation: i32): v128 {
  return f32x4.splat(activation == 0 ? <f32>NaN : 0);
}

/** f's upper bound. */
export function highest(activation: i32): v128 {
  return f32x4.splat(activation == 2 ? 6 : <f32>NaN);
}

/** f(z) */
export function activated(z: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(z, low), high);
}

/** dy, or 0 where f has no slope at z or y. */
export function throughActivation(dy: v128, y: v128, low: v128, high: v128): v128 {
  return v128.andnot(dy, v128.or(f32x4.le(y, low), f32x4.ge(y, high)));
}

/** dy = 0 where y = f(z) has no slope, on `count` floats from index `start` on. */
export function epilogueBackward(start: i32, count: i32, y: usize, dy: usize, size: i32, activation: i32): void {
  y += (<usize>start) << 2;
  dy += (<usize>start) << 2;
  const end = dy + ((<usize>count) << 2);
  const vectors = dy + (((<usize>count) >> 2) << 4);
  const low = lowest(activation);
  const high = highest(activation);
  for (; dy < vectors; dy += 16, y += 16) v128.store(dy, throughActivation(v128.load(dy), v128.load(y), low, high));
  for (; dy < end; dy += 4, y += 4) {
    v128.store_lane<f32>(dy, throughActivation(v128.load32_splat(dy), v128.load32_splat(y), low, high), 0);
  }
}
