// The column matrix of a convolution: row k = (c · KH + i) · KW + j, column (p · OW + q) · N + n,
//
//   im2col: col[k, column] = x[c, p · stride + i − pad, q · stride + j − pad, n], or 0 outside the image
//   col2im: x[c, p · stride + i − pad, q · stride + j − pad, n] += col[k, column], inside the image
//
// x is C × H × W × N. A call handles rows kFirst … kFirst + kCount − 1 and columns first … first + count − 1, with rows
// `ld` floats apart. With stride 1, a row of pixels of all images is contiguous for every tap.

import { addFloats, clearFloats, copyFloats } from "./move";

export function im2col(
  x: usize,
  h: i32,
  w: i32,
  images: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  stride: i32,
  pad: i32,
  kFirst: i32,
  kCount: i32,
  first: i32,
  count: i32,
  col: usize,
  ld: i32,
): void {
  const rowLength = ow * images;
  const end = first + count;
  for (let k = kFirst; k < kFirst + kCount; k++, col += (<usize>ld) << 2) {
    const j = k % kw;
    const i = (k / kw) % kh;
    const map = x + ((<usize>(k / kw / kh) * h * w * images) << 2);
    let to = col;
    for (let column = first; column < end;) {
      // The requested part of an output row: columns from … from + length − 1 of row p.
      const p = column / rowLength;
      const from = column - p * rowLength;
      const length = min(end - column, rowLength - from);
      const y = p * stride + i - pad;
      if (y < 0 || y >= h) {
        clearFloats(to, length);
      } else {
        const row = map + ((<usize>y * w * images) << 2);
        if (stride == 1) copyRow(to, row, w * images, from + (j - pad) * images, length);
        else copyPixels(to, row, w, images, from, length, stride, j - pad);
      }
      to += (<usize>length) << 2;
      column += length;
    }
  }
}

export function col2im(
  x: usize,
  h: i32,
  w: i32,
  images: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  stride: i32,
  pad: i32,
  kFirst: i32,
  kCount: i32,
  first: i32,
  count: i32,
  col: usize,
  ld: i32,
): void {
  const rowLength = ow * images;
  const end = first + count;
  for (let k = kFirst; k < kFirst + kCount; k++, col += (<usize>ld) << 2) {
    const j = k % kw;
    const i = (k / kw) % kh;
    const map = x + ((<usize>(k / kw / kh) * h * w * images) << 2);
    let source = col;
    for (let column = first; column < end;) {
      const p = column / rowLength;
      const from = column - p * rowLength;
      const length = min(end - column, rowLength - from);
      const y = p * stride + i - pad;
      if (y >= 0 && y < h) {
        const row = map + ((<usize>y * w * images) << 2);
        if (stride == 1) addRow(source, row, w * images, from + (j - pad) * images, length);
        else addPixels(source, row, w, images, from, length, stride, j - pad);
      }
      source += (<usize>length) << 2;
      column += length;
    }
  }
}

/** Copies `length` floats from `offset` on of a row of `rowLength`; those outside the row are 0. */
function copyRow(to: usize, row: usize, rowLength: i32, offset: i32, length: i32): void {
  const before = min(length, max(0, -offset));
  const inside = max(0, min(length, rowLength - offset) - before);
  const after = length - before - inside;
  if (before > 0) clearFloats(to, before);
  if (inside > 0) copyFloats(to + ((<usize>before) << 2), row + ((<usize>(offset + before)) << 2), inside);
  if (after > 0) clearFloats(to + ((<usize>(before + inside)) << 2), after);
}

/** The reverse: adds those inside the row to it. */
function addRow(from: usize, row: usize, rowLength: i32, offset: i32, length: i32): void {
  const before = min(length, max(0, -offset));
  const inside = max(0, min(length, rowLength - offset) - before);
  if (inside > 0) addFloats(row + ((<usize>(offset + before)) << 2), from + ((<usize>before) << 2), inside);
}

/** As `copyRow`, with stride: pixel by pixel, as neighbouring outputs are `stride` pixels apart. */
function copyPixels(to: usize, row: usize, w: i32, images: i32, from: i32, length: i32, stride: i32, shift: i32): void {
  const end = from + length;
  for (let at = from; at < end;) {
    const q = at / images;
    const n = at - q * images;
    const run = min(end - at, images - n);
    const column = q * stride + shift;
    if (column < 0 || column >= w) clearFloats(to, run);
    else copyFloats(to, row + ((<usize>column * images + n) << 2), run);
    to += (<usize>run) << 2;
    at += run;
  }
}

function addPixels(
  from: usize,
  row: usize,
  w: i32,
  images: i32,
  first: i32,
  length: i32,
  stride: i32,
  shift: i32,
): void {
  const end = first + length;
  for (let at = first; at < end;) {
    const q = at / images;
    const n = at - q * images;
    const run = min(end - at, images - n);
    const column = q * stride + shift;
    if (column >= 0 && column < w) addFloats(row + ((<usize>column * images + n) << 2), from, run);
    from += (<usize>run) << 2;
    at += run;
  }
}
