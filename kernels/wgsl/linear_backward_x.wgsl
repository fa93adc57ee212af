// Fully connected layer, gradient with respect to its input.
//
//   dx[i, n] = sum over o of w[o, i] * dy[o, n], added to what dx holds if `accumulate` is 1
//
// w: O × I, dy: O × N, dx: I × N. A matrix product: rows i, columns n, terms o. The terms are cut into `splits` runs
// (z); with more than 1, dx holds one array for each, and their sum is the result.
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
  outputs: u32,
  inputs: u32,
  images: u32,
  accumulate: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(64)
fn linear_backward_x(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstRow = tile.y * 64u;
  let firstColumn = tile.x * 64u;
  // The terms of this split, in whole slices.
  let perSplit = (u.outputs + TERMS * u.splits - 1u) / (TERMS * u.splits) * TERMS;
  let first = tile.z * perSplit;
  let end = min(first + perSplit, u.outputs);
  // This thread loads four terms of a quartet of rows and of a quartet of columns. Rows and columns beyond the last are
  // loaded as copies of it and not stored; terms beyond the last are zero.
  let quartet = thread % 16u;
  let firstTerm = thread / 16u;
  let rows = min(firstRow + quartet + APART, vec4u(u.inputs - 1u));
  let columns = min(firstColumn + quartet + APART, vec4u(u.images - 1u));
  // The results it computes.
  let tx = thread % 8u;
  let ty = thread / 8u;
  var sums: array<vec4f, 16>;
  for (var k = first; k < end; k += TERMS) {
    workgroupBarrier();
    for (var s = 0u; s < 4u; s++) {
      let term = firstTerm + s * 4u;
      var ofW = vec4f();
      var ofDy = vec4f();
      if (k + term < end) {
        let i = rows + (k + term) * u.inputs;
        let n = columns + (k + term) * u.images;
        ofW = vec4f(w[i.x], w[i.y], w[i.z], w[i.w]);
        ofDy = vec4f(dy[n.x], dy[n.y], dy[n.z], dy[n.w]);
      }
      rowTile[term * PITCH + quartet] = ofW;
      columnTile[term * PITCH + quartet] = ofDy;
    }
    workgroupBarrier();
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

fn store(split: u32, row: u32, column: u32, even: vec4f, odd: vec4f) {
  if (row >= u.inputs) {
    return;
  }
  let at = (split * u.inputs + row) * u.images;
  store_quartet(at, column, even);
  store_quartet(at, column + 8u, odd);
}

fn store_quartet(first: u32, column: u32, values: vec4f) {
  let at = first + column;
  if (column < u.images) {
    store_one(at, values.x);
  }
  if (column + 16u < u.images) {
    store_one(at + 16u, values.y);
  }
  if (column + 32u < u.images) {
    store_one(at + 32u, values.z);
  }
  if (column + 48u < u.images) {
    store_one(at + 48u, values.w);
  }
}

fn store_one(at: u32, value: f32) {
  if (u.accumulate == 1u) {
    dx[at] += value;
  } else {
    dx[at] = value;
  }
}
