// Winograd's minimal filtering F(4 × 4, 5 × 5): transforms the weights.
//
//   filters[i, j, g, t, r] = (G k G^T)[i, j],  k the window that leads from map t to map r of group g
//
// w: O × C/G × 5 × 5; filters: 8 × 8 × G × terms × rows. Forward, the terms t are the maps c and the rows r the filters
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
fn winograd_5x5_weights(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let size = u.groups * u.terms * u.rows;
  let at = id.x + id.y * groups.x * 64u;
  if (at >= size) {
    return;
  }
  let row = at % u.rows;
  let term = at / u.rows % u.terms;
  let group = at / u.rows / u.terms;
  var window = (group * u.rows + row) * u.terms + term;
  if (u.turned == 1u) {
    window = (group * u.terms + term) * u.rows + row;
  }
  let k0 = weights(window, 0u);
  let k1 = weights(window, 1u);
  let k2 = weights(window, 2u);
  let k3 = weights(window, 3u);
  let k4 = weights(window, 4u);
  // Points come in pairs p and -p: sums of even powers, and of odd ones.
  let even1 = -2.0 / 9.0 * (k0 + k2 + k4);
  let odd1 = -2.0 / 9.0 * (k1 + k3);
  let even2 = 1.0 / 90.0 * (k0 + 4.0 * k2 + 16.0 * k4);
  let odd2 = 1.0 / 45.0 * (k1 + 4.0 * k3);
  let even3 = 2.0 / 45.0 * (16.0 * k0 + 4.0 * k2 + k4);
  let odd3 = 4.0 / 45.0 * (4.0 * k1 + k3);
  store(0u, at, size, k0);
  store(1u, at, size, even1 + odd1);
  store(2u, at, size, even1 - odd1);
  store(3u, at, size, even2 + odd2);
  store(4u, at, size, even2 - odd2);
  store(5u, at, size, even3 + odd3);
  store(6u, at, size, even3 - odd3);
  store(7u, at, size, k4);
}

// A row of a window: five weights and three zeros.
fn weights(window: u32, row: u32) -> mat2x4f {
  if (u.turned == 1u) {
    let at = window * 25u + (4u - row) * 5u;
    return mat2x4f(w[at + 4u], w[at + 3u], w[at + 2u], w[at + 1u], w[at], 0.0, 0.0, 0.0);
  }
  let at = window * 25u + row * 5u;
  return mat2x4f(w[at], w[at + 1u], w[at + 2u], w[at + 3u], w[at + 4u], 0.0, 0.0, 0.0);
}

// Transforms a row and stores it.
fn store(row: u32, at: u32, size: u32, k: mat2x4f) {
  let even1 = -2.0 / 9.0 * (k[0].x + k[0].z + k[1].x);
  let odd1 = -2.0 / 9.0 * (k[0].y + k[0].w);
  let even2 = 1.0 / 90.0 * (k[0].x + 4.0 * k[0].z + 16.0 * k[1].x);
  let odd2 = 1.0 / 45.0 * (k[0].y + 4.0 * k[0].w);
  let even3 = 2.0 / 45.0 * (16.0 * k[0].x + 4.0 * k[0].z + k[1].x);
  let odd3 = 4.0 / 45.0 * (4.0 * k[0].y + k[0].w);
  let first = row * 8u * size + at;
  filters[first] = k[0].x;
  filters[first + size] = even1 + odd1;
  filters[first + 2u * size] = even1 - odd1;
  filters[first + 3u * size] = even2 + odd2;
  filters[first + 4u * size] = even2 - odd2;
  filters[first + 5u * size] = even3 + odd3;
  filters[first + 6u * size] = even3 - odd3;
  filters[first + 7u * size] = k[1].x;
}
