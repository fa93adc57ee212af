// The gradient of batch normalisation's input. With z = (x - m) * r, and g = dy where the activation function of
// z * w + b has a slope, else 0 (`activation`: 0 none, 1 ReLU, 2 ReLU6):
//
//   in training  dx = w * r * (g - (db + z * dw) / plane)
//   otherwise    dx = w * r * g
//
// For large GPUs. x, dy, dx: maps × plane, a plane being a multiple of 4; w, b, dw, db: maps; stats: m of all maps, then r.
// One thread computes four numbers of a map.

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
  training: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read> dw: array<f32>;
@group(0) @binding(6) var<storage, read> db: array<f32>;
@group(0) @binding(7) var<storage, read> dy: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn batch_norm_backward_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  let map = i / (u.plane / 4u);
  if (map >= u.maps) {
    return;
  }
  let r = stats[u.maps + map];
  let centred = x[i] - stats[map];
  var g = select(vec4f(), dy[i], has_slope(centred * (r * w[map]) + b[map]));
  if (u.training == 1u) {
    g -= (db[map] + centred * r * dw[map]) / f32(u.plane);
  }
  dx[i] = w[map] * r * g;
}

// By the bits, as in epilogue_backward.wgsl.
fn has_slope(z: vec4f) -> vec4<bool> {
  let bits = bitcast<vec4u>(z);
  let isLow = (bits == vec4u()) | (bits - vec4u(0x80000000u) <= vec4u(0x7f800000u));
  let isHigh = vec4<bool>(u.activation == 2u) & (bits - vec4u(0x40c00000u) <= vec4u(0x3ec00000u));
  return vec4<bool>(u.activation == 0u) | !(isLow | isHigh);
}
