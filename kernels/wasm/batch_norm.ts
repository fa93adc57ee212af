// Batch normalisation, a map a call: a map's plane = H × W × N numbers lie one after the other. Sums go by blocks that are
// added up in 64 bits; see row_sum.ts.

import { activated, highest, lowest, throughActivation } from "./epilogue";
import { BLOCK, lanes, sumOf } from "./row_sum";

/** m and r = 1 / √(v + epsilon) of a map, by its numbers or the running mean and variance. stats: m of all maps, then r. */
export function batchNormStatistics(
  item: i32,
  x: usize,
  mean: usize,
  variance: usize,
  stats: usize,
  maps: i32,
  plane: i32,
  training: i32,
  momentum: f32,
  epsilon: f32,
): void {
  mean += (<usize>item) << 2;
  variance += (<usize>item) << 2;
  stats += (<usize>item) << 2;
  let m: f64 = load<f32>(mean);
  let v: f64 = load<f32>(variance);
  if (training) {
    const bytes = (<usize>plane) << 2;
    x += bytes * item;
    m = sumOf(x, x + bytes) / plane;
    const squares = squaresOf(x, x + bytes, <f32>m);
    v = squares / plane;
    store<f32>(mean, <f32>(load<f32>(mean) + momentum * (m - load<f32>(mean))));
    store<f32>(variance, <f32>(load<f32>(variance) + momentum * (squares / (plane - 1) - load<f32>(variance))));
  }
  store<f32>(stats, <f32>m);
  store<f32>(stats + ((<usize>maps) << 2), <f32>(1 / sqrt<f64>(v + epsilon)));
}

/** Σ (x − m)² from x to end. */
function squaresOf(x: usize, end: usize, m: f32): f64 {
  const centre = f32x4.splat(m);
  let total: f64 = 0;
  while (x + 32 <= end) {
    const stop = min(x + BLOCK, x + (((end - x) >> 5) << 5));
    let a = f32x4.splat(0);
    let b = a;
    for (; x < stop; x += 32) {
      const c = f32x4.sub(v128.load(x), centre);
      const d = f32x4.sub(v128.load(x, 16), centre);
      a = f32x4.add(a, f32x4.mul(c, c));
      b = f32x4.add(b, f32x4.mul(d, d));
    }
    total += lanes(f32x4.add(a, b));
  }
  for (; x < end; x += 4) {
    const d = load<f32>(x) - m;
    total += d * d;
  }
  return total;
}

/** y = f((x − m) · r · w + b) */
export function batchNormForward(
  item: i32,
  x: usize,
  w: usize,
  b: usize,
  stats: usize,
  y: usize,
  maps: i32,
  plane: i32,
  activation: i32,
): void {
  const at = (<usize>item) << 2;
  const bytes = (<usize>plane) << 2;
  x += bytes * item;
  y += bytes * item;
  const m = load<f32>(stats + at);
  const scale = load<f32>(stats + ((<usize>maps) << 2) + at) * load<f32>(w + at);
  const shift = load<f32>(b + at);
  const centres = f32x4.splat(m);
  const scales = f32x4.splat(scale);
  const shifts = f32x4.splat(shift);
  const low = lowest(activation);
  const high = highest(activation);
  const end = y + bytes;
  const vectors = y + ((bytes >> 4) << 4);
  for (; y < vectors; y += 16, x += 16) {
    v128.store(y, activated(normalised(v128.load(x), centres, scales, shifts), low, high));
  }
  for (; y < end; y += 4, x += 4) {
    v128.store_lane<f32>(y, activated(normalised(v128.load32_splat(x), centres, scales, shifts), low, high), 0);
  }
}

function normalised(x: v128, centres: v128, scales: v128, shifts: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.sub(x, centres), scales), shifts);
}

/** dw = Σ dz · (x − m) · r,  db = Σ dz,  where dz is dy, or 0 where f has no slope. */
export function batchNormGradients(
  item: i32,
  x: usize,
  w: usize,
  b: usize,
  stats: usize,
  dy: usize,
  dw: usize,
  db: usize,
  maps: i32,
  plane: i32,
  activation: i32,
): void {
  const at = (<usize>item) << 2;
  const bytes = (<usize>plane) << 2;
  x += bytes * item;
  dy += bytes * item;
  const r = load<f32>(stats + ((<usize>maps) << 2) + at);
  const centre = f32x4.splat(load<f32>(stats + at));
  const scales = f32x4.splat(r * load<f32>(w + at));
  const shifts = f32x4.splat(load<f32>(b + at));
  const low = lowest(activation);
  const high = highest(activation);
  const end = dy + bytes;
  let scaled: f64 = 0;
  let plain: f64 = 0;
  while (dy + 32 <= end) {
    const stop = min(dy + BLOCK, dy + (((end - dy) >> 5) << 5));
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    for (; dy < stop; dy += 32, x += 32) {
      const y = f32x4.sub(v128.load(x), centre);
      const z = f32x4.sub(v128.load(x, 16), centre);
      const g = throughActivation(v128.load(dy), f32x4.add(f32x4.mul(y, scales), shifts), low, high);
      const h = throughActivation(v128.load(dy, 16), f32x4.add(f32x4.mul(z, scales), shifts), low, high);
      a = f32x4.add(a, f32x4.mul(g, y));
      b = f32x4.add(b, f32x4.mul(h, z));
      c = f32x4.add(c, g);
      d = f32x4.add(d, h);
    }
    scaled += lanes(f32x4.add(a, b));
    plain += lanes(f32x4.add(c, d));
  }
  for (; dy < end; dy += 4, x += 4) {
    const y = f32x4.sub(v128.load32_splat(x), centre);
    const g = throughActivation(v128.load32_splat(dy), f32x4.add(f32x4.mul(y, scales), shifts), low, high);
    scaled += f32x4.extract_lane(f32x4.mul(g, y), 0);
    plain += f32x4.extract_lane(g, 0);
  }
  store<f32>(dw + at, <f32>(scaled * r));
  store<f32>(db + at, <f32>plain);
}

/** dx = w · r · (dz − (db + (x − m) · r · dw) / plane) in training, else w · r · dz; dz as in batchNormGradients. */
export function batchNormBackward(
  item: i32,
  x: usize,
  w: usize,
  b: usize,
  stats: usize,
  dw: usize,
  db: usize,
  dy: usize,
  dx: usize,
  maps: i32,
  plane: i32,
  activation: i32,
  training: i32,
): void {
  const at = (<usize>item) << 2;
  const bytes = (<usize>plane) << 2;
  x += bytes * item;
  dy += bytes * item;
  dx += bytes * item;
  const r = load<f32>(stats + ((<usize>maps) << 2) + at);
  const scale = load<f32>(w + at) * r;
  // dx = scale · (dz − shift − (x − m) · slope)
  const shift: f32 = training ? load<f32>(db + at) / <f32>plane : 0;
  const slope: f32 = training ? (r * load<f32>(dw + at)) / <f32>plane : 0;
  const centres = f32x4.splat(load<f32>(stats + at));
  const scales = f32x4.splat(scale);
  const biases = f32x4.splat(load<f32>(b + at));
  const shifts = f32x4.splat(shift);
  const slopes = f32x4.splat(slope);
  const low = lowest(activation);
  const high = highest(activation);
  const end = dx + bytes;
  const vectors = dx + ((bytes >> 4) << 4);
  for (; dx < vectors; dx += 16, dy += 16, x += 16) {
    const centred = f32x4.sub(v128.load(x), centres);
    const dz = throughActivation(v128.load(dy), f32x4.add(f32x4.mul(centred, scales), biases), low, high);
    v128.store(dx, gradient(dz, centred, scales, shifts, slopes, training));
  }
  for (; dx < end; dx += 4, dy += 4, x += 4) {
    const centred = f32x4.sub(v128.load32_splat(x), centres);
    const dz = throughActivation(v128.load32_splat(dy), f32x4.add(f32x4.mul(centred, scales), biases), low, high);
    v128.store_lane<f32>(dx, gradient(dz, centred, scales, shifts, slopes, training), 0);
  }
}

function gradient(dz: v128, centred: v128, scales: v128, shifts: v128, slopes: v128, training: i32): v128 {
  // Outside of training x plays no part, not even by NaN.
  if (!training) return f32x4.mul(scales, dz);
  return f32x4.mul(scales, f32x4.sub(f32x4.sub(dz, shifts), f32x4.mul(centred, slopes)));
}
