// Fully connected layer, gradient with respect to its weights.
//
//   dw[o, i] = sum over n of dy[o, n] * x[i, n]
//
// x: I × N, dy: O × N, dw: O × I. A matrix product: rows o, columns i, terms n.
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
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(64)
fn linear_backward_w(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstRow = tile.y * 64u;
  let firstColumn = tile.x * 64u;
  // This thread loads one term of four quartets of rows and of columns.
  let term = thread % TERMS;
  let quartet = thread / TERMS;
  // The results it computes.
  let tx = thread % 8u;
  let ty = thread / 8u;
  var sums: array<vec4f, 16>;
  for (var k = 0u; k < u.images; k += TERMS) {
    workgroupBarrier();
    let n = k + term;
    for (var s = 0u; s < 4u; s++) {
      let i = quartet + s * 4u;
      // Rows and columns beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
      let rows = min(firstRow + i + APART, vec4u(u.outputs - 1u)) * u.images + n;
      let columns = min(firstColumn + i + APART, vec4u(u.inputs - 1u)) * u.images + n;
      var ofDy = vec4f();
      var ofX = vec4f();
      if (n < u.images) {
        ofDy = vec4f(dy[rows.x], dy[rows.y], dy[rows.z], dy[rows.w]);
        ofX = vec4f(x[columns.x], x[columns.y], x[columns.z], x[columns.w]);
      }
      rowTile[term * PITCH + i] = ofDy;
      columnTile[term * PITCH + i] = ofX;
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
  store(row, column, sums[0], sums[1]);
  store(row + 8u, column, sums[2], sums[3]);
  store(row + 16u, column, sums[4], sums[5]);
  store(row + 24u, column, sums[6], sums[7]);
  store(row + 32u, column, sums[8], sums[9]);
  store(row + 40u, column, sums[10], sums[11]);
  store(row + 48u, column, sums[12], sums[13]);
  store(row + 56u, column, sums[14], sums[15]);
}

fn store(row: u32, column: u32, even: vec4f, odd: vec4f) {
  store_quartet(row, column, even);
  store_quartet(row, column + 8u, odd);
}

fn store_quartet(row: u32, column: u32, values: vec4f) {
  if (row >= u.outputs) {
    return;
  }
  let at = row * u.inputs + column;
  if (column < u.inputs) {
    dw[at] = values.x;
  }
  if (column + 16u < u.inputs) {
    dw[at + 16u] = values.y;
  }
  if (column + 32u < u.inputs) {
    dw[at + 32u] = values.z;
  }
  if (column + 48u < u.inputs) {
    dw[at + 48u] = values.w;
  }
}
