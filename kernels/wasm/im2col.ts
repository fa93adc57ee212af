// The column matrix of a convolution, a part of it: row k = (c · KH + i) · KW + j, column (p · OW + q) · N + n,
//
//   out[k, column] = x[c, p · stride + i − padY, q · stride + j − padX, n], or 0 outside the image
//
// x is C × H × W × N. A call writes rows kFirst … kFirst + kCount − 1 and columns first … first + count − 1, the rows
// `ldOut` floats apart. With stride 1 a row of pixels of all images is one run of memory, whatever the kernel's offset.

import { copyFloats, fillFloats } from "./move";

export function im2col(
  x: usize,
  h: i32,
  w: i32,
  images: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  stride: i32,
  padY: i32,
  padX: i32,
  kFirst: i32,
  kCount: i32,
  first: i32,
  count: i32,
  out: usize,
  ldOut: i32,
): void {
  const rowLength = ow * images;
  const end = first + count;
  for (let k = kFirst; k < kFirst + kCount; k++, out += (<usize>ldOut) << 2) {
    const j = k % kw;
    const i = (k / kw) % kh;
    const map = x + ((<usize>(k / kw / kh) * h * w * images) << 2);
    let to = out;
    for (let column = first; column < end;) {
      // the part of one output row that is wanted: columns from … from + length − 1 of row p
      const p = column / rowLength;
      const from = column - p * rowLength;
      const length = min(end - column, rowLength - from);
      const y = p * stride + i - padY;
      if (y < 0 || y >= h) {
        fillFloats(to, 0, length);
      } else {
        const source = map + ((<usize>y * w * images) << 2);
        if (stride == 1) copyRow(to, source, w * images, from + (j - padX) * images, length);
        else copyPixels(to, source, w, images, from, length, stride, j - padX);
      }
      to += (<usize>length) << 2;
      column += length;
    }
  }
}

/** `length` floats of a row of `rowLength`, from `offset` on, which may begin or end outside: there they are 0. */
function copyRow(to: usize, row: usize, rowLength: i32, offset: i32, length: i32): void {
  const before = min(length, max(0, -offset));
  const inside = max(0, min(length, rowLength - offset) - before);
  if (before > 0) fillFloats(to, 0, before);
  if (inside > 0) copyFloats(to + ((<usize>before) << 2), row + ((<usize>(offset + before)) << 2), inside);
  const after = length - before - inside;
  if (after > 0) fillFloats(to + ((<usize>(before + inside)) << 2), 0, after);
}

/** The same where neighbouring outputs lie `stride` pixels apart: pixel by pixel. */
function copyPixels(to: usize, row: usize, w: i32, images: i32, from: i32, length: i32, stride: i32, shift: i32): void {
  const end = from + length;
  for (let at = from; at < end;) {
    const q = at / images;
    const n = at - q * images;
    const run = min(end - at, images - n);
    const column = q * stride + shift;
    if (column < 0 || column >= w) fillFloats(to, 0, run);
    else copyFloats(to, row + ((<usize>column * images + n) << 2), run);
    to += (<usize>run) << 2;
    at += run;
  }
}
