// Response normalisation within one map: sums over the part of a window of (2 · reach + 1)² pixels inside the image:
//
//   s = k + alpha · Σ x²,  y = x · s^−beta
//   dx = dy · s^−beta − 2 · alpha · beta · x · Σ t,  t = dy · x · s^−(beta+1)
//
// All buffers: C × H × W × N. A call computes map `item`. A window's sum is a sum of column sums.

import { inversePower, inversePower4 } from "./power";
import { normTerms } from "./lrn";

/** column: workspace of W × N floats. */
export function mapNormForward(
  item: i32,
  x: usize,
  y: usize,
  s: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  reach: i32,
  k: f32,
  alpha: f32,
  beta: f32,
  column: usize,
): void {
  const row = (<usize>w * images) << 2;
  x += row * h * item;
  y += row * h * item;
  s += row * h * item;
  const vectors = (row >> 4) << 4;
  for (let i = 0; i < h; i++) {
    const first = x + row * max(0, i - reach);
    const last = x + row * min(h - 1, i + reach);
    let p: usize = 0;
    for (; p < vectors; p += 16) {
      let sum = f32x4.splat(0);
      for (let j = first + p; j <= last + p; j += row) {
        const value = v128.load(j);
        sum = f32x4.add(sum, f32x4.mul(value, value));
      }
      v128.store(column + p, sum);
    }
    for (; p < row; p += 4) {
      let sum: f32 = 0;
      for (let j = first + p; j <= last + p; j += row) sum += load<f32>(j) * load<f32>(j);
      store<f32>(column + p, sum);
    }
    const here = row * i;
    sumColumns(column, s + here, w, images, reach);
    for (p = 0; p < vectors; p += 16) {
      const scale = f32x4.add(f32x4.splat(k), f32x4.mul(f32x4.splat(alpha), v128.load(s + here + p)));
      v128.store(s + here + p, scale);
      v128.store(y + here + p, f32x4.mul(v128.load(x + here + p), inversePower4(scale, beta)));
    }
    for (; p < row; p += 4) {
      const scale = k + alpha * load<f32>(s + here + p);
      store<f32>(s + here + p, scale);
      store<f32>(y + here + p, load<f32>(x + here + p) * inversePower(scale, beta));
    }
  }
}

/** t: workspace of (H + 2) × W × N floats. */
export function mapNormBackward(
  item: i32,
  x: usize,
  s: usize,
  dy: usize,
  dx: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  reach: i32,
  k: f32,
  alpha: f32,
  beta: f32,
  t: usize,
): void {
  const row = (<usize>w * images) << 2;
  x += row * h * item;
  s += row * h * item;
  dy += row * h * item;
  dx += row * h * item;
  const vectors = (row >> 4) << 4;
  const column = t + row * h;
  const total = column + row;
  normTerms(x, s, dy, dx, t, h * w * images, beta);
  const factor: f32 = -2.0 * alpha * beta;
  for (let i = 0; i < h; i++) {
    const first = t + row * max(0, i - reach);
    const last = t + row * min(h - 1, i + reach);
    let p: usize = 0;
    for (; p < vectors; p += 16) {
      let sum = f32x4.splat(0);
      for (let j = first + p; j <= last + p; j += row) sum = f32x4.add(sum, v128.load(j));
      v128.store(column + p, sum);
    }
    for (; p < row; p += 4) {
      let sum: f32 = 0;
      for (let j = first + p; j <= last + p; j += row) sum += load<f32>(j);
      store<f32>(column + p, sum);
    }
    sumColumns(column, total, w, images, reach);
    const here = row * i;
    for (p = 0; p < vectors; p += 16) {
      const change = f32x4.mul(f32x4.splat(factor), f32x4.mul(v128.load(x + here + p), v128.load(total + p)));
      v128.store(dx + here + p, f32x4.add(v128.load(dx + here + p), change));
    }
    for (; p < row; p += 4) {
      const change = factor * load<f32>(x + here + p) * load<f32>(total + p);
      store<f32>(dx + here + p, load<f32>(dx + here + p) + change);
    }
  }
}

/** to[q, n] = Σ_j from[j, n], j within `reach` of q. */
function sumColumns(from: usize, to: usize, w: i32, images: i32, reach: i32): void {
  const pixel = (<usize>images) << 2;
  const vectors = (pixel >> 4) << 4;
  for (let q = 0; q < w; q++, to += pixel) {
    const first = from + pixel * max(0, q - reach);
    const last = from + pixel * min(w - 1, q + reach);
    let n: usize = 0;
    for (; n < vectors; n += 16) {
      let sum = f32x4.splat(0);
      for (let j = first + n; j <= last + n; j += pixel) sum = f32x4.add(sum, v128.load(j));
      v128.store(to + n, sum);
    }
    for (; n < pixel; n += 4) {
      let sum: f32 = 0;
      for (let j = first + n; j <= last + n; j += pixel) sum += load<f32>(j);
      store<f32>(to + n, sum);
    }
  }
}
