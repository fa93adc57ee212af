// Winograd's minimal filtering F(4 × 4, 3 × 3): transforms products to gradients of the weights.
//
//   dw[o, c, i, j] = (G^T m G)[i, j],  m[i, j] = products[i, j, o, c]
//
// products: 6 × 6 × `size`, dw: `size` × 3 × 3, size being O · C/G. One thread computes one window.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn winograd_3x3_windows(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.size) {
    return;
  }
  let m0 = row(0u, at);
  let m1 = row(1u, at);
  let m2 = row(2u, at);
  let m3 = row(3u, at);
  let m4 = row(4u, at);
  let m5 = row(5u, at);
  // Points come in pairs p and -p: their sums serve even powers, their differences odd ones.
  let sum1 = m1 + m2;
  let difference1 = m1 - m2;
  let sum2 = m3 + m4;
  let difference2 = m3 - m4;
  store(at, 0u, m0 * (1.0 / 4.0) - sum1 * (1.0 / 6.0) + sum2 * (1.0 / 24.0));
  store(at, 1u, difference2 * (1.0 / 12.0) - difference1 * (1.0 / 6.0));
  store(at, 2u, (sum2 - sum1) * (1.0 / 6.0) + m5);
}

fn row(i: u32, at: u32) -> mat2x3f {
  let first = i * 6u * u.size + at;
  return mat2x3f(
    products[first], products[first + u.size], products[first + 2u * u.size],
    products[first + 3u * u.size], products[first + 4u * u.size], products[first + 5u * u.size],
  );
}

// Transforms a row of products and stores it as row i of a window.
fn store(at: u32, i: u32, m: mat2x3f) {
  let sum1 = m[0].y + m[0].z;
  let difference1 = m[0].y - m[0].z;
  let sum2 = m[1].x + m[1].y;
  let difference2 = m[1].x - m[1].y;
  let first = at * 9u + i * 3u;
  dw[first] = m[0].x / 4.0 - sum1 / 6.0 + sum2 / 24.0;
  dw[first + 1u] = difference2 / 12.0 - difference1 / 6.0;
  dw[first + 2u] = (sum2 - sum1) / 6.0 + m[1].z;
}
