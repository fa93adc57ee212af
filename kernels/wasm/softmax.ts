// Softmax over the first axis of arrays of classes × columns:
//
//   forward:  y[k, n] = exp(x[k, n] − max x) / Σ_j exp(x[j, n] − max x), on `count` columns from `start` on
//   backward: dx[k, n] = y[k, n] · (dy[k, n] − dots[n]), on `count` classes
//
// WebAssembly's max is NaN where one side is, so that a NaN makes its column NaN.
import { exp4 } from "./exp";

export function softmaxForward(start: i32, count: i32, x: usize, y: usize, classes: i32, columns: i32): void {
  const row = (<usize>columns) << 2;
  const bytes = row * classes;
  x += (<usize>start) << 2;
  y += (<usize>start) << 2;
  const end = x + ((<usize>count) << 2);
  for (; x + 16 <= end; x += 16, y += 16) {
    let largest = v128.load(x);
    for (let at = row; at < bytes; at += row) largest = f32x4.max(largest, v128.load(x + at));
    let sum = f32x4.splat(0);
    for (let at: usize = 0; at < bytes; at += row) {
      const e = exp4(f32x4.sub(v128.load(x + at), largest));
      v128.store(y + at, e);
      sum = f32x4.add(sum, e);
    }
    for (let at: usize = 0; at < bytes; at += row) v128.store(y + at, f32x4.div(v128.load(y + at), sum));
  }
  for (; x < end; x += 4, y += 4) {
    let largest = load<f32>(x);
    for (let at = row; at < bytes; at += row) largest = max<f32>(largest, load<f32>(x + at));
    let sum: f32 = 0;
    for (let at: usize = 0; at < bytes; at += row) {
      const e = f32x4.extract_lane(exp4(f32x4.splat(load<f32>(x + at) - largest)), 0);
      store<f32>(y + at, e);
      sum += e;
    }
    for (let at: usize = 0; at < bytes; at += row) store<f32>(y + at, load<f32>(y + at) / sum);
  }
}

export function softmaxBackward(
  start: i32,
  count: i32,
  y: usize,
  dy: usize,
  dots: usize,
  dx: usize,
  classes: i32,
  columns: i32,
): void {
  const row = (<usize>columns) << 2;
  y += row * start;
  dy += row * start;
  dx += row * start;
  for (let k = 0; k < count; k++, y += row, dy += row, dx += row) {
    let n: usize = 0;
    for (; n + 16 <= row; n += 16) {
      v128.store(dx + n, f32x4.mul(v128.load(y + n), f32x4.sub(v128.load(dy + n), v128.load(dots + n))));
    }
    for (; n < row; n += 4) store<f32>(dx + n, load<f32>(y + n) * (load<f32>(dy + n) - load<f32>(dots + n)));
  }
}
