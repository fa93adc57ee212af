// Local response normalisation across maps (paper §3.3), j within `reach` maps of i, inside i's group of maps:
//
//   s_i = k + alpha · Σ_j x_j²,  y_i = x_i · s_i^−beta
//   dx_i = dy_i · s_i^−beta − 2 · alpha · beta · x_i · Σ_j t_j,  t_j = dy_j · x_j · s_j^−(beta+1)
//
// All buffers: maps × plane. A call computes all maps of `count` positions of the plane from `start` on.

import { highest, lowest, throughActivation } from "./epilogue";
import { inversePower, inversePower4 } from "./power";

export function lrnForward(
  start: i32,
  count: i32,
  x: usize,
  y: usize,
  maps: i32,
  plane: i32,
  groupMaps: i32,
  reach: i32,
  k: f32,
  alpha: f32,
  beta: f32,
): void {
  x += (<usize>start) << 2;
  y += (<usize>start) << 2;
  const map = (<usize>plane) << 2;
  const vectors = ((<usize>count) >> 2) << 4;
  const bytes = (<usize>count) << 2;
  for (let i = 0; i < maps; i++) {
    const group = i - (i % groupMaps);
    const first = x + map * max(group, i - reach);
    const last = x + map * min(group + groupMaps - 1, i + reach);
    const here = map * i;
    let p: usize = 0;
    for (; p < vectors; p += 16) {
      const s = scales(first + p, last + p, map, k, alpha);
      v128.store(y + here + p, f32x4.mul(v128.load(x + here + p), inversePower4(s, beta)));
    }
    for (; p < bytes; p += 4) {
      const s = scale(first + p, last + p, map, k, alpha);
      store<f32>(y + here + p, load<f32>(x + here + p) * inversePower(s, beta));
    }
  }
}

/**
 * s at four positions, by the numbers of all neighbours from `first` to `last`, `map` bytes apart. The paper's five are
 * summed without a loop.
 */
function scales(first: usize, last: usize, map: usize, k: f32, alpha: f32): v128 {
  let sum = square(first);
  if (last == first + 4 * map) {
    sum = f32x4.add(f32x4.add(sum, square(first + map)), square(first + 2 * map));
    sum = f32x4.add(f32x4.add(sum, square(last - map)), square(last));
  } else {
    for (let j = first + map; j <= last; j += map) sum = f32x4.add(sum, square(j));
  }
  return f32x4.add(f32x4.splat(k), f32x4.mul(f32x4.splat(alpha), sum));
}

function square(x: usize): v128 {
  const value = v128.load(x);
  return f32x4.mul(value, value);
}

/** s at one position. */
function scale(first: usize, last: usize, map: usize, k: f32, alpha: f32): f32 {
  let sum: f32 = 0;
  for (let j = first; j <= last; j += map) sum += load<f32>(j) * load<f32>(j);
  return k + alpha * sum;
}

/**
 * dx is 0 where x = f(z) has no slope, f the activation function. work: maps × count floats for t, then `count` for s of a
 * map.
 */
export function lrnBackward(
  start: i32,
  count: i32,
  x: usize,
  dy: usize,
  dx: usize,
  maps: i32,
  plane: i32,
  groupMaps: i32,
  reach: i32,
  k: f32,
  alpha: f32,
  beta: f32,
  activation: i32,
  work: usize,
): void {
  x += (<usize>start) << 2;
  dy += (<usize>start) << 2;
  dx += (<usize>start) << 2;
  const map = (<usize>plane) << 2;
  const vectors = ((<usize>count) >> 2) << 4;
  const bytes = (<usize>count) << 2;
  const t = work;
  const s = t + bytes * maps;
  for (let i = 0; i < maps; i++) {
    const group = i - (i % groupMaps);
    const first = x + map * max(group, i - reach);
    const last = x + map * min(group + groupMaps - 1, i + reach);
    const here = map * i;
    let p: usize = 0;
    for (; p < vectors; p += 16) v128.store(s + p, scales(first + p, last + p, map, k, alpha));
    for (; p < bytes; p += 4) store<f32>(s + p, scale(first + p, last + p, map, k, alpha));
    normTerms(x + here, s, dy + here, dx + here, t + bytes * i, count, beta);
  }
  const factor: f32 = -2.0 * alpha * beta;
  const low = lowest(activation);
  const high = highest(activation);
  for (let i = 0; i < maps; i++) {
    const group = i - (i % groupMaps);
    const first = t + bytes * max(group, i - reach);
    const last = t + bytes * min(group + groupMaps - 1, i + reach);
    const here = map * i;
    let p: usize = 0;
    for (; p < vectors; p += 16) {
      let sum = v128.load(first + p);
      if (last == first + 4 * bytes) {
        sum = f32x4.add(f32x4.add(sum, v128.load(first + bytes + p)), v128.load(first + 2 * bytes + p));
        sum = f32x4.add(f32x4.add(sum, v128.load(last - bytes + p)), v128.load(last + p));
      } else {
        for (let j = first + bytes + p; j <= last + p; j += bytes) sum = f32x4.add(sum, v128.load(j));
      }
      const own = v128.load(x + here + p);
      const change = f32x4.mul(f32x4.splat(factor), f32x4.mul(own, sum));
      v128.store(dx + here + p, throughActivation(f32x4.add(v128.load(dx + here + p), change), own, low, high));
    }
    for (; p < bytes; p += 4) {
      let sum: f32 = 0;
      for (let j = first + p; j <= last + p; j += bytes) sum += load<f32>(j);
      const own = load<f32>(x + here + p);
      const gradient = f32x4.splat(load<f32>(dx + here + p) + factor * own * sum);
      v128.store_lane<f32>(dx + here + p, throughActivation(gradient, f32x4.splat(own), low, high), 0);
    }
  }
}

/** t = dy · x · s^−(beta+1) and dx = dy · s^−beta, on `count` floats. */
export function normTerms(x: usize, s: usize, dy: usize, dx: usize, t: usize, count: i32, beta: f32): void {
  const vectors = ((<usize>count) >> 2) << 4;
  const bytes = (<usize>count) << 2;
  let p: usize = 0;
  for (; p < vectors; p += 16) {
    const scale = v128.load(s + p);
    const direct = f32x4.mul(v128.load(dy + p), inversePower4(scale, beta));
    v128.store(dx + p, direct);
    v128.store(t + p, f32x4.div(f32x4.mul(direct, v128.load(x + p)), scale));
  }
  for (; p < bytes; p += 4) {
    const scale = load<f32>(s + p);
    const direct = load<f32>(dy + p) * inversePower(scale, beta);
    store<f32>(dx + p, direct);
    store<f32>(t + p, (direct * load<f32>(x + p)) / scale);
  }
}
