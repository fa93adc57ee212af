// Fully connected layer, gradient with respect to its weights.
//
//   dw[o, i] = sum over n of dy[o, n] * x[i, n]
//
// x: I × N, dy: O × N, dw: O × I. A matrix product: rows o, columns i, terms n.
//
// For large GPUs, where N and I are multiples of 4: a workgroup of 256 threads computes a tile of 128 × 128 results, a
// thread 8 × 8 of them in registers: rows 4ty … 4ty + 3 and those 64 below, columns 4tx … 4tx + 3 and those 64 to the
// right. Workgroup memory holds 16 terms at a time, where a vec4 is a "quartet" of 4 neighbouring rows or columns; the
// next 16 are loaded into registers meanwhile. In both matrices terms are contiguous, so a thread loads a block of
// 4 × 4, a vec4 of terms for each row (or column) of a quartet, and transposes it.

// Terms in workgroup memory, and the distance between them in vec4s. Threads that store four terms each at once would
// hit the same memory bank, so a quartet's position depends on the term; see `spread`.
const TERMS = 16u;
const PITCH = 32u;
// Start of the columns' tile, after the rows'.
const COLUMN_TILE = TERMS * PITCH;

struct Uniforms {
  outputs: u32,
  inputs: u32,
  images: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dw: array<vec4f>;

// Both tiles, first the rows'.
var<workgroup> memory: array<vec4f, 2 * TERMS * PITCH>;

@compute @workgroup_size(256)
fn linear_backward_w_vec4(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstRow = tile.y * 128u;
  let firstColumn = tile.x * 128u;
  // This thread loads four terms of four rows (the first half of the threads) or of four columns (the second half).
  // Those beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
  let loadsRows = thread < 128u;
  let term = thread % 4u * 4u;
  let quartet = thread % 128u / 4u;
  let place = select(COLUMN_TILE, 0u, loadsRows) + term * PITCH + spread(quartet, term);
  let first = select(firstColumn, firstRow, loadsRows) + quartet * 4u;
  let last = select(u.inputs, u.outputs, loadsRows) - 1u;
  // In vec4s of terms.
  let terms = u.images / 4u;
  let lines = min(first + vec4u(0u, 1u, 2u, 3u), vec4u(last)) * terms;
  // The results it computes. The threads of a subgroup form a block of 4 × 8, so that few of them read different rows.
  let tx = thread / 32u % 2u * 8u + thread % 8u;
  let ty = thread / 64u * 4u + thread / 8u % 4u;
  var sums: array<vec4f, 16>;
  var block = load(loadsRows, lines, term / 4u);
  for (var k = 0u; k < u.images; k += TERMS) {
    workgroupBarrier();
    let turned = transpose(block);
    memory[place] = turned[0];
    memory[place + PITCH] = turned[1];
    memory[place + 2u * PITCH] = turned[2];
    memory[place + 3u * PITCH] = turned[3];
    workgroupBarrier();
    block = load(loadsRows, lines, (k + TERMS + term) / 4u);
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = memory[t * PITCH + spread(ty, t)];
      let rows1 = memory[t * PITCH + spread(ty, t) + 16u];
      let columns0 = memory[COLUMN_TILE + t * PITCH + spread(tx, t)];
      let columns1 = memory[COLUMN_TILE + t * PITCH + spread(tx, t) + 16u];
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
  let column = tile.x * 32u + tx;
  var row = firstRow + ty * 4u;
  store(row, column, sums[0], sums[1]);
  store(row + 1u, column, sums[2], sums[3]);
  store(row + 2u, column, sums[4], sums[5]);
  store(row + 3u, column, sums[6], sums[7]);
  row = firstRow + 64u + ty * 4u;
  store(row, column, sums[8], sums[9]);
  store(row + 1u, column, sums[10], sums[11]);
  store(row + 2u, column, sums[12], sums[13]);
  store(row + 3u, column, sums[14], sums[15]);
}

// A quartet's position among those of a term.
fn spread(quartet: u32, term: u32) -> u32 {
  return quartet ^ (term / 4u * 2u);
}

// Four terms of each of four lines.
fn load(loadsRows: bool, lines: vec4u, term4: u32) -> mat4x4f {
  if (term4 >= u.images / 4u) {
    return mat4x4f();
  }
  let at = lines + term4;
  if (loadsRows) {
    return mat4x4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
  }
  return mat4x4f(x[at.x], x[at.y], x[at.z], x[at.w]);
}

fn store(row: u32, column: u32, left: vec4f, right: vec4f) {
  let columns = u.inputs / 4u;
  if (row >= u.outputs) {
    return;
  }
  let at = row * columns + column;
  if (column < columns) {
    dw[at] = left;
  }
  if (column + 16u < columns) {
    dw[at + 16u] = right;
  }
}
