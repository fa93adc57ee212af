// ReLU and tanh, elementwise, on `count` floats from index `start` on:
//
//   reluForward:  y = max(0, x)        reluBackward: dx = 0 where y ≤ 0, else dy
//   tanhForward:  y = tanh(x)          tanhBackward: dx = dy · (1 − y²)
//
// NaN stays NaN: WebAssembly's max and min return NaN if either operand is, and comparisons with NaN are false.

export function reluForward(start: i32, count: i32, x: usize, y: usize): void {
  x += (<usize>start) << 2;
  y += (<usize>start) << 2;
  const end = y + ((<usize>count) << 2);
  const vectors = y + (((<usize>count) >> 2) << 4);
  const zero = f32x4.splat(0);
  for (; y < vectors; y += 16, x += 16) v128.store(y, f32x4.max(zero, v128.load(x)));
  for (; y < end; y += 4, x += 4) store<f32>(y, max<f32>(0, load<f32>(x)));
}

export function reluBackward(start: i32, count: i32, y: usize, dy: usize, dx: usize): void {
  dx += (<usize>start) << 2;
  y += (<usize>start) << 2;
  dy += (<usize>start) << 2;
  const end = dx + ((<usize>count) << 2);
  const vectors = dx + (((<usize>count) >> 2) << 4);
  const zero = f32x4.splat(0);
  for (; dx < vectors; dx += 16, dy += 16, y += 16) {
    v128.store(dx, v128.andnot(v128.load(dy), f32x4.le(v128.load(y), zero)));
  }
  for (; dx < end; dx += 4, dy += 4, y += 4) store<f32>(dx, load<f32>(y) <= 0 ? 0 : load<f32>(dy));
}

export function tanhForward(start: i32, count: i32, x: usize, y: usize): void {
  x += (<usize>start) << 2;
  y += (<usize>start) << 2;
  const end = y + ((<usize>count) << 2);
  const vectors = y + (((<usize>count) >> 2) << 4);
  for (; y < vectors; y += 16, x += 16) v128.store(y, tanh4(v128.load(x)));
  for (; y < end; y += 4, x += 4) store<f32>(y, f32x4.extract_lane(tanh4(f32x4.splat(load<f32>(x))), 0));
}

export function tanhBackward(start: i32, count: i32, y: usize, dy: usize, dx: usize): void {
  dx += (<usize>start) << 2;
  y += (<usize>start) << 2;
  dy += (<usize>start) << 2;
  const end = dx + ((<usize>count) << 2);
  const vectors = dx + (((<usize>count) >> 2) << 4);
  const one = f32x4.splat(1);
  for (; dx < vectors; dx += 16, dy += 16, y += 16) {
    const value = v128.load(y);
    v128.store(dx, f32x4.mul(v128.load(dy), f32x4.sub(one, f32x4.mul(value, value))));
  }
  for (; dx < end; dx += 4, dy += 4, y += 4) {
    const value = load<f32>(y);
    store<f32>(dx, load<f32>(dy) * (1 - value * value));
  }
}

/**
 * Eigen's rational approximation x · p(x²) / q(x²), accurate to a few units in the last place; beyond ±7.905 the result
 * is ±1 in float32.
 */
function tanh4(value: v128): v128 {
  const limit = f32x4.splat(7.90531110763549805);
  const x = f32x4.max(f32x4.neg(limit), f32x4.min(limit, value));
  const z = f32x4.mul(x, x);
  let p = step(f32x4.splat(-2.76076847742355e-16), z, 2.00018790482477e-13);
  p = step(p, z, -8.60467152213735e-11);
  p = step(p, z, 5.12229709037114e-8);
  p = step(p, z, 1.48572235717979e-5);
  p = step(p, z, 6.37261928875436e-4);
  p = step(p, z, 4.89352455891786e-3);
  let q = step(f32x4.splat(1.19825839466702e-6), z, 1.18534705686654e-4);
  q = step(q, z, 2.268434632439e-3);
  q = step(q, z, 4.89352518554385e-3);
  return f32x4.div(f32x4.mul(x, p), q);
}

/** One step of Horner's rule. */
function step(sum: v128, z: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, z), f32x4.splat(coefficient));
}
