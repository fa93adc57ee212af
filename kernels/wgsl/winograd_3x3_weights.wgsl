// Winograd's minimal filtering F(4 × 4, 3 × 3): transforms the weights.
//
//   filters[i, j, g, t, r] = (G k G^T)[i, j],  k the window that leads from map t to map r of group g
//
// w: O × C/G × 3 × 3; filters: 6 × 6 × G × terms × rows. Forward, the terms t are the maps c and the rows r the filters
// o; for the gradient of the input (`turned` 1) they are exchanged, and k is rotated by 180°. One thread computes one
// window.

struct Uniforms {
  groups: u32,
  terms: u32,
  rows: u32,
  turned: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> filters: array<f32>;

@compute @workgroup_size(64)
fn winograd_3x3_weights(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let size = u.groups * u.terms * u.rows;
  let at = id.x + id.y * groups.x * 64u;
  if (at >= size) {
    return;
  }
  let row = at % u.rows;
  let term = at / u.rows % u.terms;
  let group = at / u.rows / u.terms;
  var k0: vec3f;
  var k1: vec3f;
  var k2: vec3f;
  if (u.turned == 1u) {
    let window = ((group * u.terms + term) * u.rows + row) * 9u;
    k0 = weights(window + 6u).zyx;
    k1 = weights(window + 3u).zyx;
    k2 = weights(window).zyx;
  } else {
    let window = ((group * u.rows + row) * u.terms + term) * 9u;
    k0 = weights(window);
    k1 = weights(window + 3u);
    k2 = weights(window + 6u);
  }
  store(0u, at, size, k0 / 4.0);
  store(1u, at, size, -(k0 + k1 + k2) / 6.0);
  store(2u, at, size, -(k0 - k1 + k2) / 6.0);
  store(3u, at, size, (k0 + 2.0 * k1 + 4.0 * k2) / 24.0);
  store(4u, at, size, (k0 - 2.0 * k1 + 4.0 * k2) / 24.0);
  store(5u, at, size, k2);
}

fn weights(at: u32) -> vec3f {
  return vec3f(w[at], w[at + 1u], w[at + 2u]);
}

// Transforms a row and stores it.
fn store(row: u32, at: u32, size: u32, k: vec3f) {
  let first = row * 6u * size + at;
  filters[first] = k.x / 4.0;
  filters[first + size] = -(k.x + k.y + k.z) / 6.0;
  filters[first + 2u * size] = -(k.x - k.y + k.z) / 6.0;
  filters[first + 3u * size] = (k.x + 2.0 * k.y + 4.0 * k.z) / 24.0;
  filters[first + 4u * size] = (k.x - 2.0 * k.y + 4.0 * k.z) / 24.0;
  filters[first + 5u * size] = k.z;
}
