// Inverted dropout, paper §4.2: forward, and backward with dy and dx in place of x and y.
//
//   y_i = x_i * scale where random(key, index) < threshold, else 0; NaN stays NaN
//
// x, y: `size` elements. One thread computes one element. The random word is the first one of Threefry-2x32 with 20
// rounds (Salmon et al. 2011) at counter (index, 0), as in src/random.ts.

struct Uniforms {
  size: u32,
  images: u32,
  first: u32,
  whole: u32,
  key0: u32,
  key1: u32,
  threshold: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn dropout(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  let index = i / u.images * u.whole + u.first + i % u.images;
  let keeps = threefry(vec2u(u.key0, u.key1), vec2u(index, 0u)).x < u.threshold;
  y[i] = select(0.0, x[i] * u.scale, keeps | is_nan(x[i]));
}

fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let parity = 0x1bd11bdau ^ key.x ^ key.y;
  const EVEN = vec4u(13u, 15u, 26u, 6u);
  const ODD = vec4u(17u, 29u, 16u, 24u);
  var v = counter + key;
  v = four_rounds(v, EVEN) + vec2u(key.y, parity + 1u);
  v = four_rounds(v, ODD) + vec2u(parity, key.x + 2u);
  v = four_rounds(v, EVEN) + vec2u(key.x, key.y + 3u);
  v = four_rounds(v, ODD) + vec2u(key.y, parity + 4u);
  return four_rounds(v, EVEN) + vec2u(parity, key.x + 5u);
}

fn four_rounds(v: vec2u, rotations: vec4u) -> vec2u {
  return one_round(one_round(one_round(one_round(v, rotations.x), rotations.y), rotations.z), rotations.w);
}

fn one_round(v: vec2u, rotation: u32) -> vec2u {
  let sum = v.x + v.y;
  return vec2u(sum, ((v.y << rotation) | (v.y >> (32u - rotation))) ^ sum);
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
