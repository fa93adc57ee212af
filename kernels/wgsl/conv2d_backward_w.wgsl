// Convolution with stride, padding and groups, gradient with respect to its weights (paper §3.5).
//
//   dw[o, c, i, j] = sum over p, q, n of dy[o, p, q, n] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n]
//
// where g is the group of filter o. x: C × H × W × N, zero outside the image; dy: O × OH × OW × N; dw:
// O × C/G × KH × KW. A matrix product for each group (z): rows are its filters o, columns the taps (c, i, j), terms the
// outputs (p, q, n); the matrix of columns is never stored. The terms are cut into `splits` runs (z again); with more
// than 1, dw holds one array for each, and their sum is the result.
//
// A workgroup computes a tile of 64 × 64 results, a thread 8 × 8 of them in registers: rows ty + 8m, columns tx + 8m.
// Workgroup memory holds 16 terms at a time. There a vec4 is a "quartet" of 4 rows (or columns) that are 16 apart, so
// that neighbouring threads load and store neighbouring addresses.

// Terms in workgroup memory, and the distance between them in vec4s: 16, and one to spread them over the memory banks.
const TERMS = 16u;
const PITCH = 17u;
// The rows (or columns) in a quartet.
const APART = vec4u(0u, 16u, 32u, 48u);

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
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;
// For each column: i - pad and j - pad of the tap, and the index its pixel would have for the output (0, 0, 0).
var<workgroup> tapOf: array<vec3i, 64>;

@compute @workgroup_size(64)
fn conv2d_backward_w(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let group = tile.z % u.groups;
  let split = tile.z / u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let taps = groupMaps * u.kh * u.kw;
  let terms = u.oh * u.ow * u.images;
  let firstRow = tile.y * 64u;
  let firstColumn = tile.x * 64u;
  // The terms of this split, in whole slices.
  let perSplit = (terms + TERMS * u.splits - 1u) / (TERMS * u.splits) * TERMS;
  let first = split * perSplit;
  let end = min(first + perSplit, terms);

  // Rows and columns beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
  let tap = min(firstColumn + thread, taps - 1u);
  let map = i32(group * groupMaps + tap / (u.kh * u.kw));
  let i = i32(tap / u.kw % u.kh) - i32(u.pad);
  let j = i32(tap % u.kw) - i32(u.pad);
  tapOf[thread] = vec3i(i, j, ((map * i32(u.h) + i) * i32(u.w) + j) * i32(u.images));
  // This thread loads one term of four quartets of rows and of columns.
  let term = thread % TERMS;
  let quartet = thread / TERMS;
  var output = digits(first + term);
  let nextSlice = digits(TERMS);
  // The results it computes.
  let tx = thread % 8u;
  let ty = thread / 8u;
  var sums: array<vec4f, 16>;
  for (var k = first; k < end; k += TERMS) {
    let valid = k + term < end;
    let corner = vec2i(output.xy * u.stride);
    let shift = (corner.x * i32(u.w) + corner.y) * i32(u.images) + i32(output.z);
    workgroupBarrier();
    for (var s = 0u; s < 4u; s++) {
      let column = quartet + s * 4u;
      let rows = group * groupFilters + min(firstRow + column + APART, vec4u(groupFilters - 1u));
      var ofDy = vec4f();
      var ofX = vec4f();
      if (valid) {
        let at = rows * terms + k + term;
        ofDy = vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
        ofX.x = pixel(tapOf[column], corner, shift);
        ofX.y = pixel(tapOf[column + 16u], corner, shift);
        ofX.z = pixel(tapOf[column + 32u], corner, shift);
        ofX.w = pixel(tapOf[column + 48u], corner, shift);
      }
      rowTile[term * PITCH + column] = ofDy;
      columnTile[term * PITCH + column] = ofX;
    }
    workgroupBarrier();
    output = add_digits(output, nextSlice);
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = rowTile[t * PITCH + ty];
      let rows1 = rowTile[t * PITCH + ty + 8u];
      let columns0 = columnTile[t * PITCH + tx];
      let columns1 = columnTile[t * PITCH + tx + 8u];
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
  // Here and above, `sums` is only indexed by constants, so that it stays in registers.
  let row = firstRow + ty;
  let column = firstColumn + tx;
  store(tile.z, row, column, sums[0], sums[1]);
  store(tile.z, row + 8u, column, sums[2], sums[3]);
  store(tile.z, row + 16u, column, sums[4], sums[5]);
  store(tile.z, row + 24u, column, sums[6], sums[7]);
  store(tile.z, row + 32u, column, sums[8], sums[9]);
  store(tile.z, row + 40u, column, sums[10], sums[11]);
  store(tile.z, row + 48u, column, sums[12], sums[13]);
  store(tile.z, row + 56u, column, sums[14], sums[15]);
}

// The pixel under a tap for the output whose window begins at `corner`, `shift` elements after the first output's.
fn pixel(tap: vec3i, corner: vec2i, shift: i32) -> f32 {
  // Negative rows and columns wrap to numbers that are too large.
  let at = vec2u(tap.xy + corner);
  if (at.x < u.h && at.y < u.w) {
    return x[tap.z + shift];
  }
  return 0.0;
}

// An output's index as (p, q, n), and the sum of two.
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

fn store(z: u32, row: u32, column: u32, even: vec4f, odd: vec4f) {
  let rows = u.o / u.groups;
  let columns = u.c / u.groups * u.kh * u.kw;
  if (row >= rows) {
    return;
  }
  // Ordered by split, then by group.
  let at = (z * rows + row) * columns;
  store_quartet(at, column, columns, even);
  store_quartet(at, column + 8u, columns, odd);
}

fn store_quartet(first: u32, column: u32, columns: u32, values: vec4f) {
  let at = first + column;
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
