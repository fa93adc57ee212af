// Fully connected layer, gradient with respect to its input.
//
//   dx[i, n] = sum over o of w[o, i] * dy[o, n], added to what dx holds if `accumulate` is 1
//
// w: O × I, dy: O × N, dx: I × N. A matrix product: rows i, columns n, terms o.
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
  outputs: u32,
  inputs: u32,
  images: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Both tiles; at the end, the sums that the teams add.
var<workgroup> memory: array<vec4f, 2 * TERMS * PITCH>;

@compute @workgroup_size(256)
fn linear_backward_x(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  // What this thread loads: one term of a quartet of rows and of a quartet of columns.
  // Rows and columns beyond the last are loaded as the last and not stored; terms beyond the last are zero.
  let quartet = thread % 16u;
  let term = thread / 16u;
  let rows = min(tile.y * 64u + quartet + APART, vec4u(u.inputs - 1u));
  let columns = min(tile.x * 64u + quartet + APART, vec4u(u.images - 1u));
  // What it computes: the terms of its team, for these rows and columns.
  let team = thread / 64u;
  let tx = thread % 8u;
  let ty = thread % 64u / 8u;
  var sums: array<vec4f, 16>;
  for (var k = 0u; k < u.outputs; k += TERMS) {
    let o = k + term;
    var ofW = vec4f();
    var ofDy = vec4f();
    if (o < u.outputs) {
      let i = rows + o * u.inputs;
      let n = columns + o * u.images;
      ofW = vec4f(w[i.x], w[i.y], w[i.z], w[i.w]);
      ofDy = vec4f(dy[n.x], dy[n.y], dy[n.z], dy[n.w]);
    }
    workgroupBarrier();
    memory[term * PITCH + quartet] = ofW;
    memory[COLUMN_TILE + term * PITCH + quartet] = ofDy;
    workgroupBarrier();
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
    store_quartet(tile.y * 64u + row + member / 8u, tile.x * 64u + member % 8u + half * 8u, sum);
  }
}

fn store_quartet(row: u32, column: u32, values: vec4f) {
  if (row >= u.inputs) {
    return;
  }
  let at = row * u.images + column;
  if (column < u.images) {
    store(at, values.x);
  }
  if (column + 16u < u.images) {
    store(at + 16u, values.y);
  }
  if (column + 32u < u.images) {
    store(at + 32u, values.z);
  }
  if (column + 48u < u.images) {
    store(at + 48u, values.w);
  }
}

fn store(at: u32, value: f32) {
  if (u.accumulate == 1u) {
    dx[at] += value;
  } else {
    dx[at] = value;
  }
}
