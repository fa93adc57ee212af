// Convolution with stride, padding and groups, gradient with respect to its weights (paper §3.5).
//
//   dw[o, c, i, j] = sum over p, q, n of dy[o, p, q, n] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n]
//
// where g is the group of filter o. x: C × H × W × N, zero outside the image; dy: O × OH × OW × N;
// dw: O × C/G × KH × KW. A matrix product for each group (z): rows are its filters o, columns the taps (c, i, j), terms
// the outputs (p, q, n); the matrix of columns is never stored.
//
// A workgroup computes a tile of 64 × 64 results. There are few tiles and many terms, so four teams of 64 threads share
// the terms and add their sums at the end; in each, a thread has 8 × 8 results in registers: rows ty + 8m, columns
// tx + 8m. 16 terms at a time go through workgroup memory. There a vec4 holds a "quartet", 4 rows (or columns) that are
// 16 apart, so that neighbouring threads load and store neighbouring addresses.

// Terms held in workgroup memory, and the distance from one to the next in vec4s: 16, and one that spreads the terms
// over the memory banks.
const TERMS = 16u;
const PITCH = 17u;
// The rows (or columns) of a quartet.
const APART = vec4u(0u, 16u, 32u, 48u);
// Where the columns' tile begins, after the rows'.
const COLUMN_TILE = TERMS * PITCH;

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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

// Both tiles; at the end, the sums that the teams add.
var<workgroup> memory: array<vec4f, 2 * TERMS * PITCH>;

@compute @workgroup_size(256)
fn conv2d_backward_w(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let taps = groupMaps * u.kh * u.kw;
  let terms = u.oh * u.ow * u.images;

  // What this thread loads: one term of a quartet of rows and of a quartet of columns.
  // Rows and columns beyond the last are loaded as the last and not stored; terms beyond the last are zero.
  let term = thread % TERMS;
  let quartet = thread / TERMS;
  let rows = (tile.z * groupFilters + min(tile.y * 64u + quartet + APART, vec4u(groupFilters - 1u))) * terms;
  let tap = min(tile.x * 64u + quartet + APART, vec4u(taps - 1u));
  let i = vec4i(tap / u.kw % u.kh) - i32(u.pad);
  let j = vec4i(tap % u.kw) - i32(u.pad);
  let map = vec4i(tile.z * groupMaps + tap / (u.kh * u.kw));
  let corner = ((map * i32(u.h) + i) * i32(u.w) + j) * i32(u.images);
  var output = digits(term);
  let nextSlice = digits(TERMS);
  // What it computes: the terms of its team, for these rows and columns.
  let team = thread / 64u;
  let tx = thread % 8u;
  let ty = thread % 64u / 8u;
  var sums: array<vec4f, 16>;
  for (var k = 0u; k < terms; k += TERMS) {
    let valid = k + term < terms;
    var ofDy = vec4f();
    if (valid) {
      let at = rows + k + term;
      ofDy = vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
    }
    let top = i32(output.x * u.stride);
    let left = i32(output.y * u.stride);
    let at = corner + (top * i32(u.w) + left) * i32(u.images) + i32(output.z);
    // Below zero, a row or column turns into a number that is too large.
    let inside = (vec4u(i + top) < vec4u(u.h)) & (vec4u(j + left) < vec4u(u.w)) & vec4<bool>(valid);
    let safe = select(vec4i(), at, inside);
    let ofX = vec4f(x[safe.x], x[safe.y], x[safe.z], x[safe.w]);
    workgroupBarrier();
    memory[term * PITCH + quartet] = ofDy;
    memory[COLUMN_TILE + term * PITCH + quartet] = select(vec4f(), ofX, inside);
    workgroupBarrier();
    output = add_digits(output, nextSlice);
    for (var s = 0u; s < 4u; s++) {
      let t = team * 4u + s;
      let rows0 = memory[t * PITCH + ty];
      let rows1 = memory[t * PITCH + ty + 8u];
      let columns0 = memory[COLUMN_TILE + t * PITCH + tx];
      let columns1 = memory[COLUMN_TILE + t * PITCH + tx + 8u];
      sums[0] += rows0.x * columns0;
      sums[1] += rows0.x * columns1;
      sums[2] += rows1.x * columns0;
      sums[3] += rows1.x * columns1;
      sums[4] += rows0.y * columns0;
      sums[5] += rows0.y * columns1;
      sums[6] += rows1.y * columns0;
      sums[7] += rows1.y * columns1;
      sums[8] += rows0.z * columns0;
      sums[9] += rows0.z * columns1;
      sums[10] += rows1.z * columns0;
      sums[11] += rows1.z * columns1;
      sums[12] += rows0.w * columns0;
      sums[13] += rows0.w * columns1;
      sums[14] += rows1.w * columns0;
      sums[15] += rows1.w * columns1;
    }
  }
  // Each index of `sums` is a constant, here and above, so that it stays in registers.
  finish(thread, tile, 0u, sums[0], sums[1]);
  finish(thread, tile, 8u, sums[2], sums[3]);
  finish(thread, tile, 16u, sums[4], sums[5]);
  finish(thread, tile, 24u, sums[6], sums[7]);
  finish(thread, tile, 32u, sums[8], sums[9]);
  finish(thread, tile, 40u, sums[10], sums[11]);
  finish(thread, tile, 48u, sums[12], sums[13]);
  finish(thread, tile, 56u, sums[14], sums[15]);
}

// Adds the four teams' sums of one row per thread, and stores them: 64 threads those of the even quartets of columns,
// 64 those of the odd ones.
fn finish(thread: u32, tile: vec3u, row: u32, even: vec4f, odd: vec4f) {
  workgroupBarrier();
  memory[thread] = even;
  memory[256u + thread] = odd;
  workgroupBarrier();
  if (thread < 128u) {
    let half = thread / 64u;
    let member = thread % 64u;
    let at = half * 256u + member;
    let sum = memory[at] + memory[at + 64u] + memory[at + 128u] + memory[at + 192u];
    store_quartet(tile.z, tile.y * 64u + row + member / 8u, tile.x * 64u + member % 8u + half * 8u, sum);
  }
}

// An output's number as (p, q, n), and the sum of two such.
fn digits(output: u32) -> vec3u {
  return vec3u(output / (u.ow * u.images), output / u.images % u.ow, output % u.images);
}

fn add_digits(a: vec3u, b: vec3u) -> vec3u {
  var sum = a + b;
  if (sum.z >= u.images) {
    sum.z -= u.images;
    sum.y++;
  }
  if (sum.y >= u.ow) {
    sum.y -= u.ow;
    sum.x++;
  }
  return sum;
}

fn store_quartet(group: u32, row: u32, column: u32, values: vec4f) {
  let rows = u.o / u.groups;
  let columns = u.c / u.groups * u.kh * u.kw;
  if (row >= rows) {
    return;
  }
  let at = (group * rows + row) * columns + column;
  if (column < columns) {
    dw[at] = values.x;
  }
  if (column + 16u < columns) {
    dw[at + 16u] = values.y;
  }
  if (column + 32u < columns) {
    dw[at + 32u] = values.z;
  }
  if (column + 48u < columns) {
    dw[at + 48u] = values.w;
  }
}
