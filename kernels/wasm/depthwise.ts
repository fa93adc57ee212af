// Depthwise convolution: map c of x, H × W × N, and its own filter, KH × KW, make map c of y, OH × OW × N:
//
//   y[c, p, q, n]          = b[c] + s[c] · Σ_{i, j} weights[c, i, j] · x[c, p · stride + i − pad, q · stride + j − pad, n]
//   dx[c, row, column, n]  = Σ_{i, j} weights[c, i, j] · dy[c, p, q, n]   where the window at (p, q) has its tap (i, j) there
//   dw[c, i, j]            = Σ_{p, q, n} dy[c, p, q, n] · x[c, p · stride + i − pad, q · stride + j − pad, n]
//
// where s is 1 unless `scaled`, and y is activated (epilogue.ts). With stride 1, neighbouring pixels that see the whole window are one run of memory: even one image fills vectors.

import { finishFloats } from "./epilogue";

/** y: `count` of the C · OH rows, from row `start` on. */
export function depthwiseForward(
  start: i32,
  count: i32,
  x: usize,
  weights: usize,
  s: usize,
  b: usize,
  y: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  stride: i32,
  pad: i32,
  scaled: i32,
  activation: i32,
): void {
  const pixel = (<usize>images) << 2;
  let to = y + pixel * start * ow;
  for (let index = start; index < start + count; index++) {
    const map = index / oh;
    const top = (index % oh) * stride - pad;
    const firstI = max(0, -top);
    const rows = min(kh, h - top) - firstI;
    const bias = load<f32>(b + ((<usize>map) << 2));
    const initial: f32 = scaled ? 0 : bias;
    const row = to;
    for (let q = 0; q < ow;) {
      const left = q * stride - pad;
      const firstJ = max(0, -left);
      const columns = min(kw, w - left) - firstJ;
      const run = stride == 1 && columns == kw ? min(ow - q, w - left - kw + 1) : 1;
      const from = x + pixel * ((map * h + top + firstI) * w + left + firstJ);
      const taps = weights + ((<usize>((map * kh + firstI) * kw + firstJ)) << 2);
      weigh(to, pixel * run, initial, from, pixel * w, pixel, rows, columns, taps, kw, 1);
      to += pixel * run;
      q += run;
    }
    if (scaled) finishFloats(row, images * ow, load<f32>(s + ((<usize>map) << 2)), bias, activation);
    else if (activation) finishFloats(row, images * ow, 1, 0, activation);
  }
}

/** dx: `count` of the C · H rows, from row `start` on. */
export function depthwiseBackwardX(
  start: i32,
  count: i32,
  weights: usize,
  dy: usize,
  dx: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  stride: i32,
  pad: i32,
): void {
  const pixel = (<usize>images) << 2;
  let to = dx + pixel * start * w;
  for (let index = start; index < start + count; index++) {
    const map = index / h;
    const bottom = (index % h) + pad;
    const firstI = firstTap(bottom, oh, stride);
    const rows = tapsFrom(firstI, min(kh, bottom + 1), stride);
    for (let column = 0; column < w;) {
      const right = column + pad;
      const firstJ = firstTap(right, ow, stride);
      const columns = tapsFrom(firstJ, min(kw, right + 1), stride);
      const run = stride == 1 && columns == kw ? min(w - column, ow - right) : 1;
      const p = (bottom - firstI) / stride;
      const q = (right - firstJ) / stride;
      const from = dy + pixel * ((map * oh + p) * ow + q);
      const taps = weights + ((<usize>((map * kh + firstI) * kw + firstJ)) << 2);
      // A tap further is a position nearer.
      weigh(to, pixel * run, 0, from, 0 - pixel * ow, 0 - pixel, rows, columns, taps, stride * kw, stride);
      to += pixel * run;
      column += run;
    }
  }
}

/** The first tap that leads from `pixel`, padding included, to one of the positions. */
function firstTap(pixel: i32, positions: i32, stride: i32): i32 {
  return max(pixel % stride, pixel - (positions - 1) * stride);
}

/** How many taps there are from `first` to `end` − 1, `stride` apart. */
function tapsFrom(first: i32, end: i32, stride: i32): i32 {
  return end > first ? (end - first + stride - 1) / stride : 0;
}

/**
 * to[n] = initial + Σ_{i < rows, j < columns} taps[i · tapRow + j · tapColumn] · from[i · fromRow + j · fromColumn + n],
 * for `bytes` of n; those of `from` are in bytes.
 */
function weigh(
  to: usize,
  bytes: usize,
  initial: f32,
  from: usize,
  fromRow: usize,
  fromColumn: usize,
  rows: i32,
  columns: i32,
  taps: usize,
  tapRow: i32,
  tapColumn: i32,
): void {
  const nextRow = (<usize>tapRow) << 2;
  const nextTap = (<usize>tapColumn) << 2;
  const splat = f32x4.splat(initial);
  let n: usize = 0;
  for (; n + 64 <= bytes; n += 64) {
    let s0 = splat;
    let s1 = splat;
    let s2 = splat;
    let s3 = splat;
    for (let i = 0; i < rows; i++) {
      let at = from + fromRow * i + n;
      let tap = taps + nextRow * i;
      for (let j = 0; j < columns; j++, at += fromColumn, tap += nextTap) {
        const weight = v128.load32_splat(tap);
        s0 = f32x4.add(s0, f32x4.mul(weight, v128.load(at)));
        s1 = f32x4.add(s1, f32x4.mul(weight, v128.load(at, 16)));
        s2 = f32x4.add(s2, f32x4.mul(weight, v128.load(at, 32)));
        s3 = f32x4.add(s3, f32x4.mul(weight, v128.load(at, 48)));
      }
    }
    v128.store(to + n, s0);
    v128.store(to + n, s1, 16);
    v128.store(to + n, s2, 32);
    v128.store(to + n, s3, 48);
  }
  for (; n + 16 <= bytes; n += 16) {
    let sum = splat;
    for (let i = 0; i < rows; i++) {
      let at = from + fromRow * i + n;
      let tap = taps + nextRow * i;
      for (let j = 0; j < columns; j++, at += fromColumn, tap += nextTap) {
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(tap), v128.load(at)));
      }
    }
    v128.store(to + n, sum);
  }
  for (; n < bytes; n += 4) {
    let sum = initial;
    for (let i = 0; i < rows; i++) {
      let at = from + fromRow * i + n;
      let tap = taps + nextRow * i;
      for (let j = 0; j < columns; j++, at += fromColumn, tap += nextTap) sum += load<f32>(tap) * load<f32>(at);
    }
    store<f32>(to + n, sum);
  }
}

/** dw: row `item` of the C · KH rows of windows. */
export function depthwiseBackwardW(
  item: i32,
  x: usize,
  dy: usize,
  dw: usize,
  images: i32,
  c: i32,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  stride: i32,
  pad: i32,
): void {
  const pixel = (<usize>images) << 2;
  const map = item / kh;
  const i = (item % kh) - pad;
  const firstP = firstPosition(i, stride);
  const endP = endPosition(i, h, oh, stride);
  for (let tap = 0; tap < kw; tap++) {
    const j = tap - pad;
    const firstQ = firstPosition(j, stride);
    const length = endPosition(j, w, ow, stride) - firstQ;
    let sum: f64 = 0;
    if (length > 0) {
      for (let p = firstP; p < endP; p++) {
        const ofX = x + pixel * ((map * h + p * stride + i) * w + firstQ * stride + j);
        const ofDy = dy + pixel * ((map * oh + p) * ow + firstQ);
        if (stride == 1) sum += dots(ofX, ofDy, 1, 0, pixel * length);
        else sum += dots(ofX, ofDy, length, pixel * stride, pixel);
      }
    }
    store<f32>(dw + ((<usize>(item * kw + tap)) << 2), <f32>sum);
  }
}

/** The positions p with 0 ≤ p · stride + shift < side: the first, and the one after the last. */
function firstPosition(shift: i32, stride: i32): i32 {
  return shift >= 0 ? 0 : (stride - 1 - shift) / stride;
}

function endPosition(shift: i32, side: i32, positions: i32, stride: i32): i32 {
  return shift >= side ? 0 : min(positions, (side - 1 - shift) / stride + 1);
}

/** The sum of the products of `runs` of `bytes` each, those of x `step` bytes apart, those of dy without gaps. */
function dots(x: usize, dy: usize, runs: i32, step: usize, bytes: usize): f64 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let rest: f32 = 0;
  for (let run = 0; run < runs; run++, x += step, dy += bytes) {
    let n: usize = 0;
    for (; n + 64 <= bytes; n += 64) {
      s0 = f32x4.add(s0, f32x4.mul(v128.load(x + n), v128.load(dy + n)));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(x + n, 16), v128.load(dy + n, 16)));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(x + n, 32), v128.load(dy + n, 32)));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(x + n, 48), v128.load(dy + n, 48)));
    }
    for (; n + 16 <= bytes; n += 16) s0 = f32x4.add(s0, f32x4.mul(v128.load(x + n), v128.load(dy + n)));
    for (; n < bytes; n += 4) rest += load<f32>(x + n) * load<f32>(dy + n);
  }
  const sums = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  return (
    <f64>f32x4.extract_lane(sums, 0) +
    <f64>f32x4.extract_lane(sums, 1) +
    <f64>f32x4.extract_lane(sums, 2) +
    <f64>f32x4.extract_lane(sums, 3) +
    <f64>rest
  );
}
