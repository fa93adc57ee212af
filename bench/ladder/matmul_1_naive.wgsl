// Rung 1 of the matrix product: the formula as it stands.
//
//   c[i, j] = sum over t of a[i, t] * b[t, j]
//
// a: M × K, b: K × N, c: M × N, all row-major. A thread computes one result; neighbours in x compute neighbours in a
// row, so that they read neighbouring numbers of b and the same number of a.
//
// Each multiply-add needs two loads from memory. Caches avoid the worst, but loads still dominate.

struct Uniforms {
  m: u32,
  n: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(16, 16)
fn matmul_1_naive(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let column = id.x;
  if (row >= u.m || column >= u.n) {
    return;
  }
  var sum = 0.0;
  for (var t = 0u; t < u.k; t++) {
    sum += a[row * u.k + t] * b[t * u.n + column];
  }
  c[row * u.n + column] = sum;
}
