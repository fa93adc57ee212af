// Pooling (paper §3.4): x is C × H × W × N, y is C × OH × OW × N. Window (p, q) covers the pixels inside the image of
// rows p · stride … p · stride + window − 1 and columns q · stride … q · stride + window − 1.
//
//   max:     y = the first largest pixel in row-major order, or the last that is NaN; argmax = its row · W + column
//   average: y = Σ x / number of pixels inside the image
//
// The backward passes gather: each pixel sums the gradients of the windows that cover it, in row-major order. A call
// computes row `item` of the result's C · OH or C · H rows.

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
): void {
  const pixel = (<usize>images) << 2;
  const map = item / oh;
  const p = item % oh;
  x += pixel * h * w * map;
  y += pixel * oh * ow * map;
  argmax += pixel * oh * ow * map;
  const vectors = (pixel >> 4) << 4;
  const top = p * stride;
  const bottom = min(top + window, h);
  for (let q = 0; q < ow; q++) {
    const left = q * stride;
    const right = min(left + window, w);
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
      v128.store(argmax + out + n, winner);
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
      store<i32>(argmax + out + n, winner);
    }
  }
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
): void {
  const pixel = (<usize>images) << 2;
  const map = item / h;
  const row = item % h;
  dy += pixel * oh * ow * map;
  argmax += pixel * oh * ow * map;
  dx += pixel * h * w * map;
  const vectors = (pixel >> 4) << 4;
  const firstP = firstWindow(row, window, stride);
  const lastP = min(row / stride, oh - 1);
  for (let column = 0; column < w; column++) {
    const firstQ = firstWindow(column, window, stride);
    const lastQ = min(column / stride, ow - 1);
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
): void {
  const pixel = (<usize>images) << 2;
  const map = item / oh;
  const p = item % oh;
  x += pixel * h * w * map;
  y += pixel * oh * ow * map;
  const vectors = (pixel >> 4) << 4;
  const top = p * stride;
  const bottom = min(top + window, h);
  for (let q = 0; q < ow; q++) {
    const left = q * stride;
    const right = min(left + window, w);
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
): void {
  const pixel = (<usize>images) << 2;
  const map = item / h;
  const row = item % h;
  dy += pixel * oh * ow * map;
  dx += pixel * h * w * map;
  const vectors = (pixel >> 4) << 4;
  const firstP = firstWindow(row, window, stride);
  const lastP = min(row / stride, oh - 1);
  for (let column = 0; column < w; column++) {
    const firstQ = firstWindow(column, window, stride);
    const lastQ = min(column / stride, ow - 1);
    const here = dx + pixel * (row * w + column);
    memory.fill(here, 0, pixel);
    for (let p = firstP; p <= lastP; p++) {
      const high = min(window, h - p * stride);
      for (let q = firstQ; q <= lastQ; q++) {
        const share: f32 = 1 / <f32>(high * min(window, w - q * stride));
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

/** The first window along one side that covers `position`: ⌈(position − window + 1) / stride⌉, at least 0. */
function firstWindow(position: i32, window: i32, stride: i32): i32 {
  return position < window ? 0 : (position - window + stride) / stride;
}
