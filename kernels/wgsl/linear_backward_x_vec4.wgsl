// Fully connected layer, gradient with respect to its input.
//
//   dx[i, n] = sum over o of w[o, i] * dy[o, n], added to what dx holds if `accumulate` is 1
//
// w: O × I, dy: O × N, dx: I × N. A matrix product: rows i, columns n, terms o. The terms are cut into `splits` runs
// (z); with more than 1, dx holds one array for each, and their sum is the result.
//
// For large GPUs, where N and I are multiples of 4: a workgroup of 256 threads computes a tile of 128 × 128 results, a
// thread 8 × 8 of them in registers: rows 4ty … 4ty + 3 and those 64 below, columns 4tx … 4tx + 3 and those 64 to the
// right. Workgroup memory holds 8 terms at a time, where a vec4 is a "quartet" of 4 neighbouring rows or columns; the
// next 8 are loaded into registers meanwhile. Both matrices are loaded, and dx is stored, as vec4s.

// Terms in workgroup memory, and the distance between them in vec4s.
const TERMS = 8u;
const PITCH = 32u;

struct Uniforms {
  outputs: u32,
  inputs: u32,
  images: u32,
  accumulate: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

// Splits consist of whole slices of this many terms.
const SLICE = 16u;

@compute @workgroup_size(256)
fn linear_backward_x_vec4(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstRow = tile.y * 128u;
  // Columns are in vec4s.
  let columns = u.images / 4u;
  let firstColumn = tile.x * 32u;
  // The terms of this split.
  let perSplit = (u.outputs + SLICE * u.splits - 1u) / (SLICE * u.splits) * SLICE;
  let first = tile.z * perSplit;
  let end = min(first + perSplit, u.outputs);

  // This thread loads one term of four rows and of four columns. Rows and columns beyond the last are loaded as copies
  // of it and not stored; terms beyond the last are zero.
  let term = thread / 32u;
  let quartet = thread % 32u;
  let ofRow = min(tile.y * 32u + quartet, u.inputs / 4u - 1u);
  let ofColumn = min(firstColumn + quartet, columns - 1u);
  // The results it computes. The threads of a subgroup form a block of 4 × 8, so that few of them read different rows.
  let tx = thread / 32u % 2u * 8u + thread % 8u;
  let ty = thread / 64u * 4u + thread / 8u % 4u;
  var sums: array<vec4f, 16>;
  var ofW = weights(ofRow, first + term, end);
  var ofDy = gradients(ofColumn, first + term, end);
  for (var k = first; k < end; k += TERMS) {
    workgroupBarrier();
    rowTile[term * PITCH + quartet] = ofW;
    columnTile[term * PITCH + quartet] = ofDy;
    workgroupBarrier();
    ofW = weights(ofRow, k + TERMS + term, end);
    ofDy = gradients(ofColumn, k + TERMS + term, end);
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = rowTile[t * PITCH + ty];
      let rows1 = rowTile[t * PITCH + ty + 16u];
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
      sums[8] += rows1.x * columns0;
      sums[9] += rows1.x * columns1;
      sums[10] += rows1.y * columns0;
      sums[11] += rows1.y * columns1;
      sums[12] += rows1.z * columns0;
      sums[13] += rows1.z * columns1;
      sums[14] += rows1.w * columns0;
      sums[15] += rows1.w * columns1;
    }
  }
  // Here and above, `sums` is only indexed by constants, so that it stays in registers.
  let column = firstColumn + tx;
  var row = firstRow + ty * 4u;
  store(tile.z, row, column, sums[0], sums[1]);
  store(tile.z, row + 1u, column, sums[2], sums[3]);
  store(tile.z, row + 2u, column, sums[4], sums[5]);
  store(tile.z, row + 3u, column, sums[6], sums[7]);
  row = firstRow + 64u + ty * 4u;
  store(tile.z, row, column, sums[8], sums[9]);
  store(tile.z, row + 1u, column, sums[10], sums[11]);
  store(tile.z, row + 2u, column, sums[12], sums[13]);
  store(tile.z, row + 3u, column, sums[14], sums[15]);
}

fn weights(row: u32, term: u32, end: u32) -> vec4f {
  if (term >= end) {
    return vec4f();
  }
  return w[term * (u.inputs / 4u) + row];
}

fn gradients(column: u32, term: u32, end: u32) -> vec4f {
  if (term >= end) {
    return vec4f();
  }
  return dy[term * (u.images / 4u) + column];
}

fn store(split: u32, row: u32, column: u32, left: vec4f, right: vec4f) {
  if (row >= u.inputs) {
    return;
  }
  let columns = u.images / 4u;
  let at = (split * u.inputs + row) * columns + column;
  if (column < columns) {
    store_one(at, left);
  }
  if (column + 16u < columns) {
    store_one(at + 16u, right);
  }
}

fn store_one(at: u32, value: vec4f) {
  if (u.accumulate == 1u) {
    dx[at] += value;
  } else {
    dx[at] = value;
  }
}
