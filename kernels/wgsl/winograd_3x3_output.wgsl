// Winograd's minimal filtering F(4 × 4, 3 × 3): transforms products back to outputs.
//
//   y[o, 4p + i, 4q + j, n] = f(s[o] * (A^T m A)[i, j] + b[o]),  m[i, j] = products[i, j, o, p * TW + q, n]
//
// products: 6 × 6 × O × (TH · TW) × N; s, b: O, not read unless `scaled` and `biased`; y: O × OH × OW × N. f is the
// activation function: 0 none, 1 ReLU, 2 ReLU6. One thread computes the outputs of a 4 × 4 tile that are inside the image,
// for one image; neighbouring threads have neighbouring images.

struct Uniforms {
  images: u32,
  o: u32,
  oh: u32,
  ow: u32,
  th: u32,
  tw: u32,
  biased: u32,
  scaled: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read> s: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn winograd_3x3_output(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let tiles = u.th * u.tw;
  let size = u.o * tiles * u.images;
  let at = id.x + id.y * groups.x * 64u;
  if (at >= size) {
    return;
  }
  let tile = at / u.images % tiles;
  let o = at / u.images / tiles;
  let place = vec4u(o, tile / u.tw * 4u, tile % u.tw * 4u, at % u.images);
  // No branch around the load: with one, lavapipe (Mesa 22.3) recompiles the shader at every dispatch, and leaks it.
  let after = vec2f(select(1.0, s[o], u.scaled == 1u), select(0.0, b[o], u.biased == 1u));
  let m0 = row(0u, at, size);
  let m1 = row(1u, at, size);
  let m2 = row(2u, at, size);
  let m3 = row(3u, at, size);
  let m4 = row(4u, at, size);
  let m5 = row(5u, at, size);
  store(place, 0u, m0 + m1 + m2 + m3 + m4, after);
  store(place, 1u, m1 - m2 + 2.0 * (m3 - m4), after);
  store(place, 2u, m1 + m2 + 4.0 * (m3 + m4), after);
  store(place, 3u, m1 - m2 + 8.0 * (m3 - m4) + m5, after);
}

fn row(i: u32, at: u32, size: u32) -> mat2x3f {
  let first = i * 6u * size + at;
  return mat2x3f(
    products[first], products[first + size], products[first + 2u * size],
    products[first + 3u * size], products[first + 4u * size], products[first + 5u * size],
  );
}

// Transforms a row of a tile and stores it. `place`: map, first row, first column, image.
fn store(place: vec4u, i: u32, m: mat2x3f, after: vec2f) {
  let p = place.y + i;
  if (p >= u.oh) {
    return;
  }
  let first = (place.x * u.oh + p) * u.ow;
  store_one(first, place.z, place.w, after, m[0].x + m[0].y + m[0].z + m[1].x + m[1].y);
  store_one(first, place.z + 1u, place.w, after, m[0].y - m[0].z + 2.0 * (m[1].x - m[1].y));
  store_one(first, place.z + 2u, place.w, after, m[0].y + m[0].z + 4.0 * (m[1].x + m[1].y));
  store_one(first, place.z + 3u, place.w, after, m[0].y - m[0].z + 8.0 * (m[1].x - m[1].y) + m[1].z);
}

// The factor and the bias in `after` make of a sum what is activated and stored. By the bits, so that NaN stays NaN: below 0
// they are from 0x80000000 on, from 6 to infinity 0x40c00000 to 0x7f800000.
fn store_one(first: u32, q: u32, n: u32, after: vec2f, sum: f32) {
  let z = after.x * sum + after.y;
  let bits = bitcast<u32>(z);
  let isLow = (u.activation != 0u) & (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  if (q < u.ow) {
    y[(first + q) * u.images + n] = select(select(z, 6.0, isHigh), 0.0, isLow);
  }
}
