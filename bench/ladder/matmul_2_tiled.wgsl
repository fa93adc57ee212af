// Rung 2 of the matrix product: tiles in workgroup memory.
//
//   c[i, j] = sum over t of a[i, t] * b[t, j]
//
// a: M × K, b: K × N, c: M × N, all row-major. A workgroup computes a tile of 16 × 16 results, a thread one of them.
//
// New: for 16 terms at a time, the workgroup loads a tile of a and a tile of b into its own memory, one number of each
// per thread; each number then serves 16 threads. So it is loaded from memory once per 16 results instead of once per
// result: a sixteenth of the traffic. Each multiply-add still needs two loads, now from workgroup memory.

const TILE = 16u;

struct Uniforms {
  m: u32,
  n: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

var<workgroup> aTile: array<f32, TILE * TILE>;
var<workgroup> bTile: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn matmul_2_tiled(@builtin(local_invocation_id) thread: vec3u, @builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let column = id.x;
  let mine = thread.y * TILE + thread.x;
  var sum = 0.0;
  for (var k = 0u; k < u.k; k += TILE) {
    // Outside a matrix, numbers count as 0.
    var ofA = 0.0;
    if (row < u.m && k + thread.x < u.k) {
      ofA = a[row * u.k + k + thread.x];
    }
    var ofB = 0.0;
    if (k + thread.y < u.k && column < u.n) {
      ofB = b[(k + thread.y) * u.n + column];
    }
    // Barriers: all have read the last tiles before these are written, and these are complete before anyone reads.
    workgroupBarrier();
    aTile[mine] = ofA;
    bTile[mine] = ofB;
    workgroupBarrier();
    for (var t = 0u; t < TILE; t++) {
      sum += aTile[thread.y * TILE + t] * bTile[t * TILE + thread.x];
    }
  }
  if (row < u.m && column < u.n) {
    c[row * u.n + column] = sum;
  }
}
