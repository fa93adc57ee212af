// Winograd's minimal filtering F(4 × 4, 5 × 5): transforms products to gradients of the weights.
//
//   dw[o, c, i, j] = (G^T m G)[i, j],  m[i, j] = products[i, j, o, c]
//
// products: 8 × 8 × `size`, dw: `size` × 5 × 5, size being O · C/G. One thread computes one window.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn winograd_5x5_windows(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
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
  let m6 = row(6u, at);
  let m7 = row(7u, at);
  // Points come in pairs p and -p: their sums serve even powers, their differences odd ones.
  let sum1 = m1 + m2;
  let difference1 = m1 - m2;
  let sum2 = m3 + m4;
  let difference2 = m3 - m4;
  let sum3 = m5 + m6;
  let difference3 = m5 - m6;
  store(at, 0u, m0 - 2.0 / 9.0 * sum1 + 1.0 / 90.0 * sum2 + 32.0 / 45.0 * sum3);
  store(at, 1u, -2.0 / 9.0 * difference1 + 1.0 / 45.0 * difference2 + 16.0 / 45.0 * difference3);
  store(at, 2u, -2.0 / 9.0 * sum1 + 2.0 / 45.0 * sum2 + 8.0 / 45.0 * sum3);
  store(at, 3u, -2.0 / 9.0 * difference1 + 4.0 / 45.0 * (difference2 + difference3));
  store(at, 4u, -2.0 / 9.0 * sum1 + 8.0 / 45.0 * sum2 + 2.0 / 45.0 * sum3 + m7);
}

fn row(i: u32, at: u32) -> mat2x4f {
  let first = i * 8u * u.size + at;
  return mat2x4f(
    products[first], products[first + u.size], products[first + 2u * u.size], products[first + 3u * u.size],
    products[first + 4u * u.size], products[first + 5u * u.size], products[first + 6u * u.size],
    products[first + 7u * u.size],
  );
}

// Transforms a row of products and stores it as row i of a window.
fn store(at: u32, i: u32, m: mat2x4f) {
  let sum1 = m[0].y + m[0].z;
  let difference1 = m[0].y - m[0].z;
  let sum2 = m[0].w + m[1].x;
  let difference2 = m[0].w - m[1].x;
  let sum3 = m[1].y + m[1].z;
  let difference3 = m[1].y - m[1].z;
  let first = at * 25u + i * 5u;
  dw[first] = m[0].x - 2.0 / 9.0 * sum1 + 1.0 / 90.0 * sum2 + 32.0 / 45.0 * sum3;
  dw[first + 1u] = -2.0 / 9.0 * difference1 + 1.0 / 45.0 * difference2 + 16.0 / 45.0 * difference3;
  dw[first + 2u] = -2.0 / 9.0 * sum1 + 2.0 / 45.0 * sum2 + 8.0 / 45.0 * sum3;
  dw[first + 3u] = -2.0 / 9.0 * difference1 + 4.0 / 45.0 * (difference2 + difference3);
  dw[first + 4u] = -2.0 / 9.0 * sum1 + 8.0 / 45.0 * sum2 + 2.0 / 45.0 * sum3 + m[1].w;
}
