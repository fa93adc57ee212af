// Convolution with fewer multiplications: Winograd's minimal filtering, F(4 × 4, 3 × 3) and F(4 × 4, 5 × 5) (Lavin and
// Gray, arXiv 1509.09308). A patch of x, `side` = k + 3 pixels wide and high, gives 4 × 4 outputs:
//
//   y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A        d: side × side pixels of x, g: k × k weights
//
// summed over maps before Aᵀ … A, which makes it side² matrix products, one for each position in a patch. A tile takes
// 36 multiplications instead of 144 for 3 × 3 windows, and 64 instead of 400 for 5 × 5. The gradients are the
// transposed formula: that of g is Gᵀ [ (A dy Aᵀ) ⊙ (Bᵀ d B) ] G, summed over tiles and images.
//
// Images are innermost: each number above is a run of `count` images, a multiple of 4. Position (i, j) of a patch
// belongs to matrix side · i + j, which has a row for each map and a column for each image of each tile.
//
// A transform of both axes uses `work`, in runs of `count`: a run of zeros, read for pixels outside the image; a run
// that receives outputs outside it; and up to side² runs between the two axes.

import { finishFloats } from "./epilogue";
import { clearFloats } from "./move";
import { gradient, input6, input8, output, weightGradient, weights } from "./winograd_transforms";

/**
 * Bᵀ d B of one patch, in all maps. Its corner is pixel (top, left) of x, which may be outside.
 * x: maps × h × w × images; to: side² matrices of maps × columns, starting at this patch's first column.
 */
export function winogradInput(
  side: i32,
  x: usize,
  h: i32,
  w: i32,
  images: i32,
  top: i32,
  left: i32,
  maps: i32,
  count: i32,
  to: usize,
  columns: i32,
  work: usize,
): void {
  const pixelBytes = (<usize>images) << 2;
  const rowBytes = pixelBytes * w;
  const positionBytes = (<usize>maps * columns) << 2;
  const run = (<usize>count) << 2;
  const half = work + 2 * run;
  clearFloats(work, count);
  for (let c = 0; c < maps; c++) {
    const corner = x + (<usize>c * h + top) * rowBytes + left * pixelBytes;
    for (let j = 0; j < side; j++) {
      const at = corner + j * pixelBytes;
      const into = half + j * run;
      const from0 = inside(left + j, w, top, h) ? at : work;
      const from1 = inside(left + j, w, top + 1, h) ? at + rowBytes : work;
      const from2 = inside(left + j, w, top + 2, h) ? at + 2 * rowBytes : work;
      const from3 = inside(left + j, w, top + 3, h) ? at + 3 * rowBytes : work;
      const from4 = inside(left + j, w, top + 4, h) ? at + 4 * rowBytes : work;
      const from5 = inside(left + j, w, top + 5, h) ? at + 5 * rowBytes : work;
      if (side == 6) {
        input6(from0, from1, from2, from3, from4, from5, count, into, 6 * run);
      } else {
        const from6 = inside(left + j, w, top + 6, h) ? at + 6 * rowBytes : work;
        const from7 = inside(left + j, w, top + 7, h) ? at + 7 * rowBytes : work;
        input8(from0, from1, from2, from3, from4, from5, from6, from7, count, into, 8 * run);
      }
    }
    for (let i = 0; i < side; i++) {
      const at = half + side * i * run;
      const into = to + <usize>(side * i) * positionBytes + ((<usize>c * columns) << 2);
      const at3 = at + 3 * run;
      if (side == 6) {
        input6(at, at + run, at + 2 * run, at3, at3 + run, at3 + 2 * run, count, into, positionBytes);
      } else {
        const at6 = at + 6 * run;
        input8(at, at + run, at + 2 * run, at3, at3 + run, at3 + 2 * run, at6, at6 + run, count, into, positionBytes);
      }
    }
  }
}

/** Whether (x, y) is inside an image of w × h. */
function inside(x: i32, w: i32, y: i32, h: i32): bool {
  return x >= 0 && x < w && y >= 0 && y < h;
}

/** A dy Aᵀ of one tile of 4 × 4 outputs, whose first is (top, left), inside the image; otherwise as winogradInput. */
export function winogradGradient(
  side: i32,
  dy: usize,
  oh: i32,
  ow: i32,
  images: i32,
  top: i32,
  left: i32,
  maps: i32,
  count: i32,
  to: usize,
  columns: i32,
  work: usize,
): void {
  const pixelBytes = (<usize>images) << 2;
  const rowBytes = pixelBytes * ow;
  const positionBytes = (<usize>maps * columns) << 2;
  const run = (<usize>count) << 2;
  const half = work + 2 * run;
  clearFloats(work, count);
  for (let o = 0; o < maps; o++) {
    const corner = dy + (<usize>o * oh + top) * rowBytes + left * pixelBytes;
    for (let j = 0; j < 4; j++) {
      const at = corner + j * pixelBytes;
      gradient(
        side,
        inside(left + j, ow, top, oh) ? at : work,
        inside(left + j, ow, top + 1, oh) ? at + rowBytes : work,
        inside(left + j, ow, top + 2, oh) ? at + 2 * rowBytes : work,
        inside(left + j, ow, top + 3, oh) ? at + 3 * rowBytes : work,
        count,
        half + j * run,
        4 * run,
      );
    }
    for (let i = 0; i < side; i++) {
      const at = half + 4 * i * run;
      const into = to + <usize>(side * i) * positionBytes + ((<usize>o * columns) << 2);
      gradient(side, at, at + run, at + 2 * run, at + 3 * run, count, into, positionBytes);
    }
  }
}

/**
 * Aᵀ P A of one tile of 4 × 4 outputs, whose first is (top, left), inside the image, times the map's factor, plus its
 * bias, unless `scale` or `bias` is 0, and activated. products: side² matrices of maps × columns; y: maps × oh × ow × images.
 */
export function winogradOutput(
  side: i32,
  products: usize,
  columns: i32,
  scale: usize,
  bias: usize,
  activation: i32,
  y: usize,
  oh: i32,
  ow: i32,
  images: i32,
  top: i32,
  left: i32,
  maps: i32,
  count: i32,
  work: usize,
): void {
  const pixelBytes = (<usize>images) << 2;
  const rowBytes = pixelBytes * ow;
  const positionBytes = (<usize>maps * columns) << 2;
  const run = (<usize>count) << 2;
  const outside = work + run;
  const half = work + 2 * run;
  for (let o = 0; o < maps; o++) {
    const from = products + ((<usize>o * columns) << 2);
    for (let i = 0; i < side; i++) {
      const to = half + 4 * i * run;
      const row = from + <usize>(side * i) * positionBytes;
      output(side, row, positionBytes, count, 0, to, to + run, to + 2 * run, to + 3 * run);
    }
    const corner = y + (<usize>o * oh + top) * rowBytes + left * pixelBytes;
    const add: f32 = bias == 0 ? 0 : load<f32>(bias + ((<usize>o) << 2));
    const factor: f32 = scale == 0 ? 1 : load<f32>(scale + ((<usize>o) << 2));
    for (let j = 0; j < 4 && left + j < ow; j++) {
      const to = corner + j * pixelBytes;
      output(
        side,
        half + j * run,
        4 * run,
        count,
        scale == 0 ? add : 0,
        to,
        top + 1 < oh ? to + rowBytes : outside,
        top + 2 < oh ? to + 2 * rowBytes : outside,
        top + 3 < oh ? to + 3 * rowBytes : outside,
      );
      if (scale == 0 && activation == 0) continue;
      for (let i = 0; i < 4 && top + i < oh; i++) {
        finishFloats(to + i * rowBytes, count, factor, scale == 0 ? 0 : add, activation);
      }
    }
  }
}

/**
 * G g Gᵀ of `count` windows of k × k weights, `windowStep` floats apart: to[side · i + j, window], rows `positionStep`
 * floats apart. `flip` rotates them by 180° first, for the gradient of x. work: k² + side · k + side² vectors.
 */
export function winogradWeights(
  k: i32,
  w: usize,
  windowStep: i32,
  flip: bool,
  count: i32,
  to: usize,
  positionStep: i32,
  work: usize,
): void {
  const taps = k * k;
  const side = k + 3;
  const row = (<usize>k) << 4;
  const halves = work + ((<usize>taps) << 4);
  const results = halves + side * row;
  for (let first = 0; first < count; first += 4) {
    const lanes = min(4, count - first);
    for (let lane = 0; lane < 4; lane++) {
      const window = w + ((<usize>(first + lane) * windowStep) << 2);
      for (let tap = 0; tap < taps; tap++) {
        const value: f32 = lane < lanes ? load<f32>(window + ((<usize>(flip ? taps - 1 - tap : tap)) << 2)) : 0;
        store<f32>(work + ((<usize>tap) << 4) + ((<usize>lane) << 2), value);
      }
    }
    // Columns: k × k to side × k; rows: side × k to side × side.
    for (let j = 0; j < k; j++) weights(k, work + ((<usize>j) << 4), row, halves + ((<usize>j) << 4), row);
    for (let i = 0; i < side; i++) weights(k, halves + i * row, 16, results + ((<usize>(i * side)) << 4), 16);
    for (let position = 0; position < side * side; position++) {
      const target = to + ((<usize>position * positionStep + first) << 2);
      const from = results + ((<usize>position) << 4);
      if (lanes == 4) v128.store(target, v128.load(from));
      else memory.copy(target, from, (<usize>lanes) << 2);
    }
  }
}

/** Gᵀ u G of `count` windows: u[side · i + j, window], dw: count × k × k. work: side² + k · side + k² vectors. */
export function winogradWeightGradient(k: i32, u: usize, positionStep: i32, count: i32, dw: usize, work: usize): void {
  const taps = k * k;
  const side = k + 3;
  const row = (<usize>side) << 4;
  const halves = work + side * row;
  const results = halves + k * row;
  for (let first = 0; first < count; first += 4) {
    const lanes = min(4, count - first);
    for (let position = 0; position < side * side; position++) {
      const from = u + ((<usize>position * positionStep + first) << 2);
      const target = work + ((<usize>position) << 4);
      if (lanes == 4) v128.store(target, v128.load(from));
      else memory.copy(target, from, (<usize>lanes) << 2);
    }
    // Columns: side × side to k × side; rows: k × side to k × k.
    for (let j = 0; j < side; j++) weightGradient(k, work + ((<usize>j) << 4), row, halves + ((<usize>j) << 4), row);
    for (let i = 0; i < k; i++) weightGradient(k, halves + i * row, 16, results + ((<usize>(i * k)) << 4), 16);
    for (let lane = 0; lane < lanes; lane++) {
      const window = dw + ((<usize>((first + lane) * taps)) << 2);
      for (let tap = 0; tap < taps; tap++) {
        store<f32>(window + ((<usize>tap) << 2), load<f32>(results + ((<usize>tap) << 4) + ((<usize>lane) << 2)));
      }
    }
  }
}
