// Convolution with stride, padding and groups, gradient with respect to its input (paper §3.5).
//
//   dx[g * C/G + c, row, column, n] = sum over o in group g, i, j of w[o, c, i, j] * dy[o, p, q, n]
//
// where p * stride + i - pad = row and q * stride + j - pad = column. w: O × C/G × KH × KW; dy: O × OH × OW × N; dx:
// C × H × W × N. A matrix product for each group (z): rows are its maps c, columns the pixels (row, column, n), terms
// the taps (o, i, j); the matrix of columns is never stored.
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
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

var<workgroup> rowTile: array<vec4f, TERMS * ROW_PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(THREADS)
fn conv2d_backward_x_vec4(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) tile: vec3u,
  @builtin(num_workgroups) tiles: vec3u,
) {
  let group = tile.z % u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let window = u.kh * u.kw;
  let taps = groupFilters * window;
  let firstFilter = group * groupFilters;
  let firstRow = tile.y * ROWS;
  // From here on, columns are in vec4s. A row of column tiles that is too long for x continues at z + G.
  let quads = u.images / 4u;
  let columns = u.h * u.w * quads;
  let firstColumn = (tile.x + tile.z / u.groups * tiles.x) * 32u;

  // Of w, this thread loads one tap of four rows, incrementing its filter and its position in the window. Rows and
  // columns beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
  let term = thread % 8u;
  let quartet = thread / 8u;
  // Loading the quartets of rows takes 2 · ROWS threads.
  let loadsW = THREADS <= 2u * ROWS || thread < 2u * ROWS;
  let rows = min(firstRow + quartet * 4u + vec4u(0u, 1u, 2u, 3u), vec4u(groupMaps - 1u)) * window;
  var place = vec2u(term / window, term % window);
  // Of dy, one tap of four columns, and perhaps a second STEP further on: all threads where STEP is 4, a third where it
  // is 6.
  let dyTerm = thread / 32u;
  let column4 = thread % 32u;
  let pixel = min(firstColumn + column4, columns - 1u);
  let bottomRight = vec2u(pixel / quads / u.w, pixel / quads % u.w) + u.pad;
  let n = pixel % quads;
  var tap = digits(dyTerm);
  let secondTap = digits(STEP);
  let nextTap = digits(TERMS - STEP % TERMS);
  let loadsSecond = 2u * STEP <= TERMS || dyTerm + STEP < TERMS;
  // The results it computes. The threads of a subgroup form a block of 4 × 8, so that few of them read different rows.
  let tx = thread / 32u % 2u * 8u + thread % 8u;
  let ty = thread / 64u * 4u + thread / 8u % 4u;
  // Where two threads share a lower quartet: whether this one has its second half.
  let isSecond = LOWER == 2u && ty % 2u == 1u;
  var sums: array<vec4f, 16>;
  var ofW = weights(firstFilter, place, rows, loadsW && term < taps);
  var ofDy0 = gradients(firstFilter, tap, bottomRight, n, dyTerm < taps);
  var ofDy1 = vec4f();
  if (STEP < TERMS) {
    tap = add_digits(tap, secondTap);
    ofDy1 = gradients(firstFilter, tap, bottomRight, n, loadsSecond && dyTerm + STEP < taps);
  }
  for (var k = 0u; k < taps; k += TERMS) {
    workgroupBarrier();
    if (loadsW) {
      rowTile[term * ROW_PITCH + quartet] = ofW;
    }
    columnTile[dyTerm * PITCH + column4] = ofDy0;
    if (STEP < TERMS && loadsSecond) {
      columnTile[(dyTerm + STEP) * PITCH + column4] = ofDy1;
    }
    workgroupBarrier();
    let next = k + TERMS;
    if (next < taps) {
      place = next_place(place, window);
      ofW = weights(firstFilter, place, rows, loadsW && next + term < taps);
      tap = add_digits(tap, nextTap);
      ofDy0 = gradients(firstFilter, tap, bottomRight, n, next + dyTerm < taps);
      if (STEP < TERMS) {
        tap = add_digits(tap, secondTap);
        ofDy1 = gradients(firstFilter, tap, bottomRight, n, loadsSecond && next + dyTerm + STEP < taps);
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

// The weights of four maps at a place (filter, position in the window).
fn weights(firstFilter: u32, place: vec2u, rows: vec4u, valid: bool) -> vec4f {
  if (!valid) {
    return vec4f();
  }
  let at = (firstFilter + place.x) * (u.c / u.groups) * u.kh * u.kw + place.y + rows;
  return vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
}

// The place 8 terms further.
fn next_place(place: vec2u, window: u32) -> vec2u {
  let next = place + vec2u(TERMS / window, TERMS % window);
  return select(next, vec2u(next.x + 1u, next.y - window), next.y >= window);
}

// The gradient of the output to which a tap connects a pixel, for four images; 0 if there is none.
fn gradients(firstFilter: u32, tap: vec3u, bottomRight: vec2u, n: u32, valid: bool) -> vec4f {
  // Negative p and q wrap to numbers that are too large.
  var output = bottomRight - tap.yz;
  var whole = true;
  if (u.stride > 1u) {
    // Negative numbers must just stay too large.
    let negative = bottomRight < tap.yz;
    whole = all(output % u.stride == vec2u());
    output = select(output / u.stride, vec2u(u.oh, u.ow), negative);
  }
  if (!valid || !whole || output.x >= u.oh || output.y >= u.ow) {
    return vec4f();
  }
  let at = (((firstFilter + tap.x) * u.oh + output.x) * u.ow + output.y) * (u.images / 4u);
  return dy[at + n];
}

// A tap's index as (o, i, j), and the sum of two.
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
  let rows = u.c / u.groups;
  let columns = u.h * u.w * (u.images / 4u);
  if (row >= rows) {
    return;
  }
  let at = (group * rows + row) * columns + column;
  if (column < columns) {
    dx[at] = left;
  }
  if (column + 16u < columns) {
    dx[at + 16u] = right;
  }
}
