// Rung 3 of the matrix product: vectors.
//
//   c[i, j] = sum over t of a[i, t] * b[t, j]
//
// a: M × K, b: K × N, c: M × N, all row-major. A workgroup of 16 × 16 threads computes a tile of 16 × 64 results, a
// thread four neighbours in a row.
//
// New: threads read and add vec4s. A number of a read from workgroup memory serves four multiply-adds, and so do the 16
// bytes of b that one instruction reads: 2 loads per 4 multiply-adds instead of 2 per multiply-add.

const TERMS = 16u;
// Threads, and vec4s, in a row of the tile.
const QUADS = 16u;
const ROWS = 16u;

struct Uniforms {
  m: u32,
  n: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

var<workgroup> aTile: array<f32, ROWS * TERMS>;
var<workgroup> bTile: array<vec4f, TERMS * QUADS>;

@compute @workgroup_size(QUADS, ROWS)
fn matmul_3_vectorised(@builtin(local_invocation_id) thread: vec3u, @builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let column = id.x * 4u;
  var sums = vec4f();
  for (var k = 0u; k < u.k; k += TERMS) {
    // One number of a and four of b; outside a matrix, numbers count as 0.
    var ofA = 0.0;
    if (row < u.m && k + thread.x < u.k) {
      ofA = a[row * u.k + k + thread.x];
    }
    var ofB = vec4f();
    if (k + thread.y < u.k) {
      ofB = load(k + thread.y, column);
    }
    workgroupBarrier();
    aTile[thread.y * TERMS + thread.x] = ofA;
    bTile[thread.y * QUADS + thread.x] = ofB;
    workgroupBarrier();
    for (var t = 0u; t < TERMS; t++) {
      sums += aTile[thread.y * TERMS + t] * bTile[t * QUADS + thread.x];
    }
  }
  if (row < u.m) {
    store(row * u.n, column, sums);
  }
}

fn load(term: u32, column: u32) -> vec4f {
  let at = term * u.n + column;
  if (column + 3u < u.n) {
    return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
  }
  var values = vec4f();
  for (var i = 0u; column + i < u.n; i++) {
    values[i] = b[at + i];
  }
  return values;
}

fn store(first: u32, column: u32, values: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (column + i < u.n) {
      c[first + column + i] = values[i];
    }
  }
}
