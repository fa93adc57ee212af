// Rung 4 of the matrix product: tiles in registers.
//
//   c[i, j] = sum over t of a[i, t] * b[t, j]
//
// a: M × K, b: K × N, c: M × N, all row-major. A workgroup of 64 threads computes a tile of 64 × 64 results, a thread
// 8 × 8 of them: rows ty + 8m, columns tx + 8m.
//
// New: a thread keeps 64 sums in registers. For each term it reads 8 numbers of a and 8 of b from workgroup memory, as
// 4 vec4s, for 64 multiply-adds: 16 per load instead of 2. The larger tile also needs only a quarter of the traffic from
// memory. A vec4 in workgroup memory holds a "quartet", 4 rows (or columns) that are 16 apart, so that neighbouring
// threads load and store neighbouring addresses.
//
// The rung after this one is in kernels/wgsl: linear_forward.wgsl, the same with a bias, and
// linear_forward_128x128.wgsl, whose tiles are larger, whose loads are vec4s, and which loads ahead of time.

// Terms held in workgroup memory, and the distance between them in vec4s: 16, plus one to spread the terms over the
// memory banks.
const TERMS = 16u;
const PITCH = 17u;
// The rows (or columns) of a quartet.
const APART = vec4u(0u, 16u, 32u, 48u);

struct Uniforms {
  m: u32,
  n: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

var<workgroup> aTile: array<vec4f, TERMS * PITCH>;
var<workgroup> bTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(64)
fn matmul_4_registers(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstRow = tile.y * 64u;
  let firstColumn = tile.x * 64u;
  // This thread loads one term of four quartets of rows, and four terms of one quartet of columns.
  let fast = thread % 16u;
  let slow = thread / 16u;
  // Beyond the last row or column, the last is loaded, and the result is not stored; terms beyond the last are zero.
  let columns = min(firstColumn + fast + APART, vec4u(u.n - 1u));
  // This thread's results.
  let tx = thread % 8u;
  let ty = thread / 8u;
  var sums: array<vec4f, 16>;
  for (var k = 0u; k < u.k; k += TERMS) {
    workgroupBarrier();
    for (var s = 0u; s < 4u; s++) {
      let i = slow + s * 4u;
      var ofA = vec4f();
      if (k + fast < u.k) {
        let at = min(firstRow + i + APART, vec4u(u.m - 1u)) * u.k + k + fast;
        ofA = vec4f(a[at.x], a[at.y], a[at.z], a[at.w]);
      }
      aTile[fast * PITCH + i] = ofA;
      var ofB = vec4f();
      if (k + i < u.k) {
        let at = columns + (k + i) * u.n;
        ofB = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
      }
      bTile[i * PITCH + fast] = ofB;
    }
    workgroupBarrier();
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = aTile[t * PITCH + ty];
      let rows1 = aTile[t * PITCH + ty + 8u];
      let columns0 = bTile[t * PITCH + tx];
      let columns1 = bTile[t * PITCH + tx + 8u];
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
  // `sums` is indexed only by constants, here and above, so that it stays in registers.
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
  if (row >= u.m) {
    return;
  }
  let at = row * u.n + column;
  if (column < u.n) {
    c[at] = values.x;
  }
  if (column + 16u < u.n) {
    c[at + 16u] = values.y;
  }
  if (column + 32u < u.n) {
    c[at + 32u] = values.z;
  }
  if (column + 48u < u.n) {
    c[at + 48u] = values.w;
  }
}
