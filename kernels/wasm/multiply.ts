// Products of arrays of C × P × N, N being `images` and P the `plane`, with ones of C × N, on `count` floats from number
// `start` on. With a plane of 1 the two are alike.
//
//   multiply: y[c, p, n] = a[c, p, n] · b[c, n]
//   scale:    y[c, p, n] = factor · x[c, n]
//   planeDot: y[c, n] = Σ_p a[c, p, n] · b[c, p, n], on `count` maps
import { fillFloats } from "./move";

export function multiply(
  start: i32,
  count: i32,
  a: usize,
  b: usize,
  y: usize,
  size: i32,
  plane: i32,
  images: i32,
): void {
  const end = start + count;
  for (let i = start, run = 0; i < end; i += run) {
    const at = (<usize>i) << 2;
    run = runFrom(i, end, plane, images);
    const ofB = b + placeInMap(i, plane, images);
    if (plane > 1 && images == 1) scaleFloats(y + at, a + at, load<f32>(ofB), run);
    else multiplyFloats(y + at, a + at, ofB, run);
  }
}

export function scale(
  start: i32,
  count: i32,
  x: usize,
  y: usize,
  size: i32,
  plane: i32,
  images: i32,
  factor: f32,
): void {
  const end = start + count;
  for (let i = start, run = 0; i < end; i += run) {
    const at = (<usize>i) << 2;
    run = runFrom(i, end, plane, images);
    const ofX = x + placeInMap(i, plane, images);
    if (plane > 1 && images == 1) fillFloats(y + at, factor * load<f32>(ofX), run);
    else scaleFloats(y + at, ofX, factor, run);
  }
}

/** How many elements from `i` on have their C × N elements in a row, or all the same one if there is one image. */
function runFrom(i: i32, end: i32, plane: i32, images: i32): i32 {
  if (plane == 1) return end - i;
  const period = images == 1 ? plane : images;
  return min(end - i, period - (i % period));
}

/** Bytes from the beginning of a C × N array to what belongs to element `i` of a C × P × N array. */
function placeInMap(i: i32, plane: i32, images: i32): usize {
  return (<usize>(plane == 1 ? i : (i / (plane * images)) * images + (i % images))) << 2;
}

function multiplyFloats(y: usize, a: usize, b: usize, count: i32): void {
  const end = y + ((<usize>count) << 2);
  const vectors = y + (((<usize>count) >> 2) << 4);
  for (; y < vectors; y += 16, a += 16, b += 16) v128.store(y, f32x4.mul(v128.load(a), v128.load(b)));
  for (; y < end; y += 4, a += 4, b += 4) store<f32>(y, load<f32>(a) * load<f32>(b));
}

function scaleFloats(y: usize, x: usize, factor: f32, count: i32): void {
  const end = y + ((<usize>count) << 2);
  const vectors = y + (((<usize>count) >> 2) << 4);
  const factors = f32x4.splat(factor);
  for (; y < vectors; y += 16, x += 16) v128.store(y, f32x4.mul(factors, v128.load(x)));
  for (; y < end; y += 4, x += 4) store<f32>(y, factor * load<f32>(x));
}

export function planeDot(
  start: i32,
  count: i32,
  a: usize,
  b: usize,
  y: usize,
  maps: i32,
  plane: i32,
  images: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = pixel * plane;
  a += map * start;
  b += map * start;
  y += pixel * start;
  for (let i = 0; i < count; i++, a += map, b += map, y += pixel) {
    let n: usize = 0;
    // A cache line of each at once.
    for (; n + 64 <= pixel; n += 64) {
      let sum0 = f32x4.splat(0);
      let sum1 = sum0;
      let sum2 = sum0;
      let sum3 = sum0;
      for (let at = n; at < map; at += pixel) {
        sum0 = f32x4.add(sum0, f32x4.mul(v128.load(a + at), v128.load(b + at)));
        sum1 = f32x4.add(sum1, f32x4.mul(v128.load(a + at, 16), v128.load(b + at, 16)));
        sum2 = f32x4.add(sum2, f32x4.mul(v128.load(a + at, 32), v128.load(b + at, 32)));
        sum3 = f32x4.add(sum3, f32x4.mul(v128.load(a + at, 48), v128.load(b + at, 48)));
      }
      v128.store(y + n, sum0);
      v128.store(y + n, sum1, 16);
      v128.store(y + n, sum2, 32);
      v128.store(y + n, sum3, 48);
    }
    for (; n + 16 <= pixel; n += 16) {
      let sum = f32x4.splat(0);
      for (let at = n; at < map; at += pixel) sum = f32x4.add(sum, f32x4.mul(v128.load(a + at), v128.load(b + at)));
      v128.store(y + n, sum);
    }
    for (; n < pixel; n += 4) {
      let sum: f64 = 0;
      for (let at = n; at < map; at += pixel) sum += <f64>load<f32>(a + at) * <f64>load<f32>(b + at);
      store<f32>(y + n, <f32>sum);
    }
  }
}
