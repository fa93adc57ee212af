// Depthwise convolution: map c of x, H × W × N, and its own filter, KH × KW, make map c of y, OH × OW × N:
//
//   y[c, p, q, n]          = b[c] + s[c] · Σ_{i, j} weights[c, i, j] · x[c, p · stride + i − pad, q · stride + j − pad, n]
//   dx[c, row, column, n]  = Σ_{i, j} weights[c, i, j] · dy[c, p, q, n]   where the window at (p, q) has its tap (i, j) there
//   dw[c, i, j]            = Σ_{p, q, n} dy[c, p, q, n] · x[c, p · stride + i − pad, q · stride + j − pad, n]
//
// where s is 1 unless `scaled`, and y is activated (epilogue.ts). With stride 1, neighbouring pixels that see the whole window are one run of memory: even one image fills vectors.

import { finishFloats } from "./epilogue";

import { lanes } from "./row_sum";

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

/** dw: map `item`, position by position, so that rows stay in the nearest cache for all taps. sums: KH · KW f64. */
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
  splits: i32,
  sums: usize,
): void {
  const pixel = (<usize>images) << 2;
  const taps = kh * kw;
  x += pixel * item * h * w;
  dy += pixel * item * oh * ow;
  dw += (<usize>item * taps) << 2;
  memory.fill(sums, 0, (<usize>taps) << 3);
  for (let p = 0; p < oh; p++, dy += pixel * ow) {
    const top = p * stride - pad;
    for (let i = max(0, -top); i < min(kh, h - top); i++) {
      const row = x + pixel * (top + i) * w;
      const sum = sums + ((<usize>(i * kw)) << 3);
      let tap = 0;
      for (; tap + 3 <= kw; tap += 3) {
        // The positions where all three taps see the image.
        const first = firstPosition(tap - pad, stride);
        const end = endPosition(tap + 2 - pad, w, ow, stride);
        if (end > first) {
          const from = row + pixel * (first * stride + tap - pad);
          addThree(sum + ((<usize>tap) << 3), from, pixel, dy + pixel * first, end - first, pixel * stride);
        }
        for (let j = tap; j < tap + 3; j++) {
          addRow(sum, j, row, dy, pixel, w, ow, stride, pad, 0, first);
          addRow(sum, j, row, dy, pixel, w, ow, stride, pad, max(first, end), ow);
        }
      }
      for (; tap < kw; tap++) addRow(sum, tap, row, dy, pixel, w, ow, stride, pad, 0, ow);
    }
  }
  for (let tap = 0; tap < taps; tap++) {
    store<f32>(dw + ((<usize>tap) << 2), <f32>load<f64>(sums + ((<usize>tap) << 3)));
  }
}

/** Adds to sum[tap] the products at positions `first` to `end` − 1 of a row, as far as the tap sees the image there. */
function addRow(
  sum: usize,
  tap: i32,
  row: usize,
  dy: usize,
  pixel: usize,
  w: i32,
  ow: i32,
  stride: i32,
  pad: i32,
  first: i32,
  end: i32,
): void {
  const j = tap - pad;
  const q = max(first, firstPosition(j, stride));
  const length = min(end, endPosition(j, w, ow, stride)) - q;
  if (length <= 0) return;
  const from = row + pixel * (q * stride + j);
  const to = dy + pixel * q;
  const more = stride == 1 ? dots(from, to, 1, 0, pixel * length) : dots(from, to, length, pixel * stride, pixel);
  store<f64>(sum + ((<usize>tap) << 3), load<f64>(sum + ((<usize>tap) << 3)) + more);
}

/** Adds to three neighbouring taps' sums. x: what the first sees at `positions`, `step` bytes apart; dy without gaps. */
function addThree(sum: usize, x: usize, pixel: usize, dy: usize, positions: i32, step: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let t0 = s0;
  let t1 = s0;
  let t2 = s0;
  let r0: f32 = 0;
  let r1: f32 = 0;
  let r2: f32 = 0;
  // Without stride, the positions are one run.
  const bytes = step == pixel ? pixel * positions : pixel;
  const runs = step == pixel ? 1 : positions;
  for (let run = 0; run < runs; run++, x += step, dy += bytes) {
    const x1 = x + pixel;
    const x2 = x1 + pixel;
    let n: usize = 0;
    for (; n + 32 <= bytes; n += 32) {
      const a = v128.load(dy + n);
      const b = v128.load(dy + n, 16);
      s0 = f32x4.add(s0, f32x4.mul(a, v128.load(x + n)));
      s1 = f32x4.add(s1, f32x4.mul(a, v128.load(x1 + n)));
      s2 = f32x4.add(s2, f32x4.mul(a, v128.load(x2 + n)));
      t0 = f32x4.add(t0, f32x4.mul(b, v128.load(x + n, 16)));
      t1 = f32x4.add(t1, f32x4.mul(b, v128.load(x1 + n, 16)));
      t2 = f32x4.add(t2, f32x4.mul(b, v128.load(x2 + n, 16)));
    }
    for (; n < bytes; n += 4) {
      const a = load<f32>(dy + n);
      r0 += a * load<f32>(x + n);
      r1 += a * load<f32>(x1 + n);
      r2 += a * load<f32>(x2 + n);
    }
  }
  store<f64>(sum, load<f64>(sum) + lanes(f32x4.add(s0, t0)) + <f64>r0);
  store<f64>(sum, load<f64>(sum, 8) + lanes(f32x4.add(s1, t1)) + <f64>r1, 8);
  store<f64>(sum, load<f64>(sum, 16) + lanes(f32x4.add(s2, t2)) + <f64>r2, 16);
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
  return lanes(sums) + <f64>rest;
}
