// Pooling (paper §3.4): x is C × H × W × N, y is C × OH × OW × N. Window (p, q) covers the pixels inside the image of
// rows from p · stride − pad on, `window` of them, and columns likewise from q · stride − pad on.
//
//   max:     y = the first largest pixel in row-major order, or the last that is NaN; argmax = its row · W + column, or
//            none (all bits set) where y = f(z) has no slope, f the activation function
//   average: y = Σ x / number of pixels inside the image
//
// The backward passes gather: each pixel sums the gradients of the windows that cover it, in row-major order. A call
// computes row `item` of the result's C · OH or C · H rows.

import { highest, lowest } from "./epilogue";

export function maxPoolForward(
  item: i32,
  x: usize,
  y: usize,
  argmax: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  window: i32,
  stride: i32,
  pad: i32,
  activation: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = item / oh;
  const p = item % oh;
  x += pixel * h * w * map;
  y += pixel * oh * ow * map;
  argmax += pixel * oh * ow * map;
  const vectors = (pixel >> 4) << 4;
  const low = lowest(activation);
  const high = highest(activation);
  const top = max(p * stride - pad, 0);
  const bottom = min(p * stride - pad + window, h);
  for (let q = 0; q < ow; q++) {
    const left = max(q * stride - pad, 0);
    const right = min(q * stride - pad + window, w);
    const start = top * w + left;
    const out = pixel * (p * ow + q);
    let n: usize = 0;
    for (; n < vectors; n += 16) {
      let best = f32x4.splat(-Infinity);
      let winner = i32x4.splat(start);
      for (let row = top; row < bottom; row++) {
        let index = row * w + left;
        for (let column = left; column < right; column++, index++) {
          const candidate = v128.load(x + pixel * index + n);
          // Or NaN, which doesn't equal itself. Nothing is larger than NaN, so after one only another wins.
          const wins = v128.or(f32x4.gt(candidate, best), f32x4.ne(candidate, candidate));
          best = v128.bitselect(candidate, best, wins);
          winner = v128.bitselect(i32x4.splat(index), winner, wins);
        }
      }
      v128.store(y + out + n, best);
      v128.store(argmax + out + n, v128.or(winner, flat(best, low, high)));
    }
    for (; n < pixel; n += 4) {
      let best: f32 = -Infinity;
      let winner = start;
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          const index = row * w + column;
          const candidate = load<f32>(x + pixel * index + n);
          if (candidate > best || candidate != candidate) {
            best = candidate;
            winner = index;
          }
        }
      }
      store<f32>(y + out + n, best);
      v128.store_lane<i32>(argmax + out + n, v128.or(i32x4.splat(winner), flat(f32x4.splat(best), low, high)), 0);
    }
  }
}

/** All bits set where an activation function with these bounds has no slope. */
function flat(y: v128, low: v128, high: v128): v128 {
  return v128.or(f32x4.le(y, low), f32x4.ge(y, high));
}

export function maxPoolBackward(
  item: i32,
  dy: usize,
  argmax: usize,
  dx: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  window: i32,
  stride: i32,
  pad: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = item / h;
  const row = item % h;
  dy += pixel * oh * ow * map;
  argmax += pixel * oh * ow * map;
  dx += pixel * h * w * map;
  const vectors = (pixel >> 4) << 4;
  const firstP = firstWindow(row + pad, window, stride);
  const lastP = min((row + pad) / stride, oh - 1);
  for (let column = 0; column < w; column++) {
    const firstQ = firstWindow(column + pad, window, stride);
    const lastQ = min((column + pad) / stride, ow - 1);
    const index = row * w + column;
    const here = dx + pixel * index;
    const wanted = i32x4.splat(index);
    memory.fill(here, 0, pixel);
    // Window by window, so that the inner loop runs over images and the pixel's sums stay in the cache.
    for (let p = firstP; p <= lastP; p++) {
      for (let q = firstQ; q <= lastQ; q++) {
        const from = pixel * (p * ow + q);
        let n: usize = 0;
        for (; n < vectors; n += 16) {
          const won = i32x4.eq(v128.load(argmax + from + n), wanted);
          v128.store(here + n, f32x4.add(v128.load(here + n), v128.and(v128.load(dy + from + n), won)));
        }
        for (; n < pixel; n += 4) {
          if (load<i32>(argmax + from + n) == index) {
            store<f32>(here + n, load<f32>(here + n) + load<f32>(dy + from + n));
          }
        }
      }
    }
  }
}

export function averagePoolForward(
  item: i32,
  x: usize,
  y: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  window: i32,
  stride: i32,
  pad: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = item / oh;
  const p = item % oh;
  x += pixel * h * w * map;
  y += pixel * oh * ow * map;
  const vectors = (pixel >> 4) << 4;
  const top = max(p * stride - pad, 0);
  const bottom = min(p * stride - pad + window, h);
  for (let q = 0; q < ow; q++) {
    const left = max(q * stride - pad, 0);
    const right = min(q * stride - pad + window, w);
    const inside = <f32>((bottom - top) * (right - left));
    const out = pixel * (p * ow + q);
    let n: usize = 0;
    for (; n < vectors; n += 16) {
      let sum = f32x4.splat(0);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          sum = f32x4.add(sum, v128.load(x + pixel * (row * w + column) + n));
        }
      }
      v128.store(y + out + n, f32x4.div(sum, f32x4.splat(inside)));
    }
    for (; n < pixel; n += 4) {
      let sum: f32 = 0;
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) sum += load<f32>(x + pixel * (row * w + column) + n);
      }
      store<f32>(y + out + n, sum / inside);
    }
  }
}

export function averagePoolBackward(
  item: i32,
  dy: usize,
  dx: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  window: i32,
  stride: i32,
  pad: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = item / h;
  const row = item % h;
  dy += pixel * oh * ow * map;
  dx += pixel * h * w * map;
  const vectors = (pixel >> 4) << 4;
  const firstP = firstWindow(row + pad, window, stride);
  const lastP = min((row + pad) / stride, oh - 1);
  for (let column = 0; column < w; column++) {
    const firstQ = firstWindow(column + pad, window, stride);
    const lastQ = min((column + pad) / stride, ow - 1);
    const here = dx + pixel * (row * w + column);
    memory.fill(here, 0, pixel);
    for (let p = firstP; p <= lastP; p++) {
      const high = inside(p, h, window, stride, pad);
      for (let q = firstQ; q <= lastQ; q++) {
        const share: f32 = 1 / <f32>(high * inside(q, w, window, stride, pad));
        const shares = f32x4.splat(share);
        const from = dy + pixel * (p * ow + q);
        let n: usize = 0;
        for (; n < vectors; n += 16) {
          v128.store(here + n, f32x4.add(v128.load(here + n), f32x4.mul(v128.load(from + n), shares)));
        }
        for (; n < pixel; n += 4) store<f32>(here + n, load<f32>(here + n) + load<f32>(from + n) * share);
      }
    }
  }
}

/** y[c, n] = Σ x over the map / its pixels, `plane` of them; on `count` maps from `start` on. */
export function globalAveragePoolForward(
  start: i32,
  count: i32,
  x: usize,
  y: usize,
  maps: i32,
  plane: i32,
  images: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = pixel * plane;
  const divisor = f32x4.splat(<f32>plane);
  x += map * start;
  y += pixel * start;
  for (let i = 0; i < count; i++, x += map, y += pixel) {
    let n: usize = 0;
    // A cache line at once.
    for (; n + 64 <= pixel; n += 64) {
      let sum0 = f32x4.splat(0);
      let sum1 = sum0;
      let sum2 = sum0;
      let sum3 = sum0;
      for (let at = x + n; at < x + map; at += pixel) {
        sum0 = f32x4.add(sum0, v128.load(at));
        sum1 = f32x4.add(sum1, v128.load(at, 16));
        sum2 = f32x4.add(sum2, v128.load(at, 32));
        sum3 = f32x4.add(sum3, v128.load(at, 48));
      }
      v128.store(y + n, f32x4.div(sum0, divisor));
      v128.store(y + n, f32x4.div(sum1, divisor), 16);
      v128.store(y + n, f32x4.div(sum2, divisor), 32);
      v128.store(y + n, f32x4.div(sum3, divisor), 48);
    }
    for (; n + 16 <= pixel; n += 16) {
      let sum = f32x4.splat(0);
      for (let at = x + n; at < x + map; at += pixel) sum = f32x4.add(sum, v128.load(at));
      v128.store(y + n, f32x4.div(sum, divisor));
    }
    for (; n < pixel; n += 4) {
      let sum: f64 = 0;
      for (let at = x + n; at < x + map; at += pixel) sum += <f64>load<f32>(at);
      store<f32>(y + n, <f32>(sum / plane));
    }
  }
}

/**
 * The first window along one side that covers `position` of the padded image: ⌈(position − window + 1) / stride⌉, at
 * least 0.
 */
function firstWindow(position: i32, window: i32, stride: i32): i32 {
  return position < window ? 0 : (position - window + stride) / stride;
}

/** How many of a window's pixels along one side are inside the image. */
function inside(at: i32, side: i32, window: i32, stride: i32, pad: i32): i32 {
  const start = at * stride - pad;
  return min(start + window, side) - max(start, 0);
}
