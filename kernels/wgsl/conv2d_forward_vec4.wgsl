// Convolution with stride, padding and groups, forward (paper §3.5).
//
//   y[o, p, q, n] = f(b[o] + s[o] * sum over c, i, j of
//                   w[o, c, i, j] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n])
//
// where g is the group of filter o, f the activation function; s is 1 unless `scaled`. x: C × H × W × N, zero outside the
// image; w: O × C/G × KH × KW; s, b: O; y: O × OH × OW × N. A matrix product for each group (z): rows are its filters o, columns the outputs (p, q, n), terms
// the taps (c, i, j); the matrix of columns is never stored.
//
// For large GPUs, where N is a multiple of 4. A thread computes 8 × 8 results in registers, or 6 × 8: rows
// 4ty … 4ty + 3 and, below those of all threads, another 4 or 2; columns 4tx … 4tx + 3 and those 64 to the right.
// Workgroup memory holds 8 terms at a time, where a vec4 is a "quartet" of 4 neighbouring rows or columns; the next 8
// are loaded into registers meanwhile. Columns are loaded and stored as vec4s.

// A tile has ROWS × 128 results and THREADS threads, 16 side by side and TALL in a column: 128 rows and 256 threads or,
// for too few rows, 96 and 192, or 48 and 128.
const ROWS = 128u;
const THREADS = 256u;
const TALL = THREADS / 16u;
// Rows that a thread computes below its first four: 4 or 2.
const LOWER = ROWS / TALL - 4u;
const_assert LOWER == 4u || LOWER == 2u;
// Terms in workgroup memory, and the distance between them in vec4s: one more than needed, to spread them over the
// memory banks.
const TERMS = 8u;
const PITCH = 33u;
const ROW_PITCH = ROWS / 4u + 1u;
// Number of terms of the columns that the threads load at once: all 8, 6 or 4.
const STEP = THREADS / 32u;

struct Uniforms {
  images: u32,
  c: u32,
  h: u32,
  w: u32,
  o: u32,
  oh: u32,
  ow: u32,
  kh: u32,
  kw: u32,
  stride: u32,
  pad: u32,
  groups: u32,
  scaled: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> s: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

var<workgroup> rowTile: array<vec4f, TERMS * ROW_PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(THREADS)
fn conv2d_forward_vec4(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) tile: vec3u,
  @builtin(num_workgroups) tiles: vec3u,
) {
  let group = tile.z % u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let taps = groupMaps * u.kh * u.kw;
  let firstRow = tile.y * ROWS;
  // From here on, columns are in vec4s. A row of column tiles that is too long for x continues at z + G.
  let quads = u.images / 4u;
  let columns = u.oh * u.ow * quads;
  let firstColumn = (tile.x + tile.z / u.groups * tiles.x) * 32u;

  // Of w, this thread loads one tap of four rows. Rows and columns beyond the last are loaded as copies of it and not
  // stored; terms beyond the last are zero.
  let term = thread % 8u;
  let quartet = thread / 8u;
  // Loading the quartets of rows takes 2 · ROWS threads.
  let loadsW = THREADS <= 2u * ROWS || thread < 2u * ROWS;
  let filters = min(firstRow + quartet * 4u + vec4u(0u, 1u, 2u, 3u), vec4u(groupFilters - 1u));
  let rows = (group * groupFilters + filters) * taps + term;
  // Of x, one tap of four columns, and perhaps a second STEP further on: all threads where STEP is 4, a third where it
  // is 6. Their windows begin at (top, left), which may be outside the image.
  let xTerm = thread / 32u;
  let column4 = thread % 32u;
  let output = min(firstColumn + column4, columns - 1u);
  let top = i32(output / quads / u.ow * u.stride) - i32(u.pad);
  let left = i32(output / quads % u.ow * u.stride) - i32(u.pad);
  let corner = ((i32(group * groupMaps * u.h) + top) * i32(u.w) + left) * i32(quads) + i32(output % quads);
  var tap = digits(xTerm);
  let secondTap = digits(STEP);
  let nextTap = digits(TERMS - STEP % TERMS);
  let loadsSecond = 2u * STEP <= TERMS || xTerm + STEP < TERMS;
  // The results it computes. The threads of a subgroup form a block of 4 × 8, so that few of them read different rows.
  let tx = thread / 32u % 2u * 8u + thread % 8u;
  let ty = thread / 64u * 4u + thread / 8u % 4u;
  // Where two threads share a lower quartet: whether this one has its second half.
  let isSecond = LOWER == 2u && ty % 2u == 1u;
  var sums: array<vec4f, 16>;
  var ofW = weights(rows, loadsW && term < taps);
  var ofX0 = pixels(tap, top, left, corner, xTerm < taps);
  var ofX1 = vec4f();
  if (STEP < TERMS) {
    tap = add_digits(tap, secondTap);
    ofX1 = pixels(tap, top, left, corner, loadsSecond && xTerm + STEP < taps);
  }
  for (var k = 0u; k < taps; k += TERMS) {
    workgroupBarrier();
    if (loadsW) {
      rowTile[term * ROW_PITCH + quartet] = ofW;
    }
    columnTile[xTerm * PITCH + column4] = ofX0;
    if (STEP < TERMS && loadsSecond) {
      columnTile[(xTerm + STEP) * PITCH + column4] = ofX1;
    }
    workgroupBarrier();
    let next = k + TERMS;
    if (next < taps) {
      ofW = weights(rows + next, loadsW && next + term < taps);
      tap = add_digits(tap, nextTap);
      ofX0 = pixels(tap, top, left, corner, next + xTerm < taps);
      if (STEP < TERMS) {
        tap = add_digits(tap, secondTap);
        ofX1 = pixels(tap, top, left, corner, loadsSecond && next + xTerm + STEP < taps);
      }
    }
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = rowTile[t * ROW_PITCH + ty];
      let rows1 = rowTile[t * ROW_PITCH + ty / (4u / LOWER) + TALL];
      let columns0 = columnTile[t * PITCH + tx];
      let columns1 = columnTile[t * PITCH + tx + 16u];
      sums[0] += rows0.x * columns0;
      sums[1] += rows0.x * columns1;
      sums[2] += rows0.y * columns0;
      sums[3] += rows0.y * columns1;
      sums[4] += rows0.z * columns0;
      sums[5] += rows0.z * columns1;
      sums[6] += rows0.w * columns0;
      sums[7] += rows0.w * columns1;
      let pair = select(rows1.xy, rows1.zw, isSecond);
      sums[8] += pair.x * columns0;
      sums[9] += pair.x * columns1;
      sums[10] += pair.y * columns0;
      sums[11] += pair.y * columns1;
      if (LOWER == 4u) {
        sums[12] += rows1.z * columns0;
        sums[13] += rows1.z * columns1;
        sums[14] += rows1.w * columns0;
        sums[15] += rows1.w * columns1;
      }
    }
  }
  // Here and above, `sums` is only indexed by constants, so that it stays in registers.
  let column = firstColumn + tx;
  var row = firstRow + ty * 4u;
  store(group, row, column, sums[0], sums[1]);
  store(group, row + 1u, column, sums[2], sums[3]);
  store(group, row + 2u, column, sums[4], sums[5]);
  store(group, row + 3u, column, sums[6], sums[7]);
  row = firstRow + 4u * TALL + ty * LOWER;
  store(group, row, column, sums[8], sums[9]);
  store(group, row + 1u, column, sums[10], sums[11]);
  if (LOWER == 4u) {
    store(group, row + 2u, column, sums[12], sums[13]);
    store(group, row + 3u, column, sums[14], sums[15]);
  }
}

fn weights(at: vec4u, valid: bool) -> vec4f {
  if (!valid) {
    return vec4f();
  }
  return vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
}

// The pixel under a tap, for four images.
fn pixels(tap: vec3u, top: i32, left: i32, corner: i32, valid: bool) -> vec4f {
  // Negative rows and columns wrap to numbers that are too large.
  if (!valid || u32(top) + tap.y >= u.h || u32(left) + tap.z >= u.w) {
    return vec4f();
  }
  return x[corner + i32(((tap.x * u.h + tap.y) * u.w + tap.z) * (u.images / 4u))];
}

// A tap's index as (c, i, j), and the sum of two.
fn digits(tap: u32) -> vec3u {
  return vec3u(tap / (u.kh * u.kw), tap / u.kw % u.kh, tap % u.kw);
}

fn add_digits(a: vec3u, b: vec3u) -> vec3u {
  var sum = a + b;
  if (sum.z >= u.kw) {
    sum.z -= u.kw;
    sum.y++;
  }
  if (sum.y >= u.kh) {
    sum.y -= u.kh;
    sum.x++;
  }
  return sum;
}

fn store(group: u32, row: u32, column: u32, left: vec4f, right: vec4f) {
  let rows = u.o / u.groups;
  let columns = u.oh * u.ow * (u.images / 4u);
  if (row >= rows) {
    return;
  }
  let o = group * rows + row;
  if (column < columns) {
    y[o * columns + column] = finished(left, o);
  }
  if (column + 16u < columns) {
    y[o * columns + column + 16u] = finished(right, o);
  }
}

// What is stored: the sums of filter o times its factor, if there is one, plus its bias, and activated: 1 by ReLU, 2 by
// ReLU6. By the bits, so that NaN stays NaN: below 0 they are from 0x80000000 on, from 6 to infinity 0x40c00000 to
// 0x7f800000.
fn finished(sum: vec4f, o: u32) -> vec4f {
  let z = select(1.0, s[o], u.scaled == 1u) * sum + b[o];
  let bits = bitcast<vec4u>(z);
  let isLow = vec4<bool>(u.activation != 0u) & (bits - vec4u(0x80000000u) <= vec4u(0x7f800000u));
  let isHigh = vec4<bool>(u.activation == 2u) & (bits - vec4u(0x40c00000u) <= vec4u(0x3ec00000u));
  return select(select(z, vec4f(6.0), isHigh), vec4f(), isLow);
}
