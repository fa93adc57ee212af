// Batch normalisation: y = f((x - m) * r * w + b), where `activation` is the function f: 0 none, 1 ReLU, 2 ReLU6
//
// For large GPUs. x, y: maps × plane, a plane being H × W × N, a multiple of 4; w, b: maps; stats: m of all maps, then r.
// One thread computes four numbers of a map.

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn batch_norm_forward_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  let map = i / (u.plane / 4u);
  if (map >= u.maps) {
    return;
  }
  y[i] = activated((x[i] - stats[map]) * (stats[u.maps + map] * w[map]) + b[map]);
}

// By the bits, so that NaN stays NaN: below 0 they are from 0x80000000 on, from 6 to infinity 0x40c00000 to 0x7f800000.
fn activated(z: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(z);
  let isLow = vec4<bool>(u.activation != 0u) & (bits - vec4u(0x80000000u) <= vec4u(0x7f800000u));
  let isHigh = vec4<bool>(u.activation == 2u) & (bits - vec4u(0x40c00000u) <= vec4u(0x3ec00000u));
  return select(select(z, vec4f(6.0), isHigh), vec4f(), isLow);
}
