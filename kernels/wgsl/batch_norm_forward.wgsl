// Batch normalisation: y = f((x - m) * r * w + b), where `activation` is the function f: 0 none, 1 ReLU, 2 ReLU6
//
// x, y: maps × plane, a plane being H × W × N; w, b: maps; stats: m of all maps, then r. One thread computes one number.

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn batch_norm_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  let map = i / u.plane;
  if (map >= u.maps) {
    return;
  }
  y[i] = activated((x[i] - stats[map]) * (stats[u.maps + map] * w[map]) + b[map]);
}

// By the bits, so that NaN stays NaN: below 0 they are from 0x80000000 on, from 6 to infinity 0x40c00000 to 0x7f800000.
fn activated(z: f32) -> f32 {
  let bits = bitcast<u32>(z);
  let isLow = (u.activation != 0u) & (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  return select(select(z, 6.0, isHigh), 0.0, isLow);
}
