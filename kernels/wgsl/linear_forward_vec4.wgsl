// Fully connected layer, forward (paper §3.5).
//
//   y[o, n] = b[o] + sum over i of w[o, i] * x[i, n]
//
// w: O × I, x: I × N, b: O, y: O × N. A matrix product: rows o, columns n, terms i. The terms are cut into `splits`
// runs (z); with more than 1, y holds one array for each, and their sum is the result; the first includes the bias.
//
// For large GPUs, where N is a multiple of 4: a workgroup of 256 threads computes a tile of 128 × 128 results, a thread
// 8 × 8 of them in registers: rows 4ty … 4ty + 3 and those 64 below, columns 4tx … 4tx + 3 and those 64 to the right.
// Workgroup memory holds 8 terms at a time, where a vec4 is a "quartet" of 4 neighbouring rows or columns; the next 8
// are loaded into registers meanwhile. Columns are loaded and stored as vec4s.

// Terms in workgroup memory, and the distance between them in vec4s: one more than needed, to spread them over the
// memory banks.
const TERMS = 8u;
const PITCH = 33u;

struct Uniforms {
  outputs: u32,
  inputs: u32,
  images: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

// Splits consist of whole slices of this many terms.
const SLICE = 16u;

@compute @workgroup_size(256)
fn linear_forward_vec4(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstRow = tile.y * 128u;
  // Columns are in vec4s.
  let columns = u.images / 4u;
  let firstColumn = tile.x * 32u;
  // The terms of this split.
  let perSplit = (u.inputs + SLICE * u.splits - 1u) / (SLICE * u.splits) * SLICE;
  let first = tile.z * perSplit;
  let end = min(first + perSplit, u.inputs);

  // This thread loads one term of four rows, and one term of four columns. Rows and columns beyond the last are loaded
  // as copies of it and not stored; terms beyond the last are zero.
  let wTerm = thread % 8u;
  let quartet = thread / 8u;
  let rows = min(firstRow + quartet * 4u + vec4u(0u, 1u, 2u, 3u), vec4u(u.outputs - 1u)) * u.inputs;
  let xTerm = thread / 32u;
  let column4 = thread % 32u;
  let ofColumn = min(firstColumn + column4, columns - 1u);
  // The results it computes. The threads of a subgroup form a block of 4 × 8, so that few of them read different rows.
  let tx = thread / 32u % 2u * 8u + thread % 8u;
  let ty = thread / 64u * 4u + thread / 8u % 4u;
  var sums: array<vec4f, 16>;
  var ofW = weights(rows, first + wTerm, end);
  var ofX = inputs(ofColumn, first + xTerm, end);
  for (var k = first; k < end; k += TERMS) {
    workgroupBarrier();
    rowTile[wTerm * PITCH + quartet] = ofW;
    columnTile[xTerm * PITCH + column4] = ofX;
    workgroupBarrier();
    ofW = weights(rows, k + TERMS + wTerm, end);
    ofX = inputs(ofColumn, k + TERMS + xTerm, end);
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

fn weights(rows: vec4u, term: u32, end: u32) -> vec4f {
  if (term >= end) {
    return vec4f();
  }
  let at = rows + term;
  return vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
}

fn inputs(column: u32, term: u32, end: u32) -> vec4f {
  if (term >= end) {
    return vec4f();
  }
  return x[term * (u.images / 4u) + column];
}

fn store(split: u32, row: u32, column: u32, left: vec4f, right: vec4f) {
  if (row >= u.outputs) {
    return;
  }
  let bias = select(0.0, b[row], split == 0u);
  let columns = u.images / 4u;
  let at = (split * u.outputs + row) * columns + column;
  if (column < columns) {
    y[at] = left + bias;
  }
  if (column + 16u < columns) {
    y[at + 16u] = right + bias;
  }
}
