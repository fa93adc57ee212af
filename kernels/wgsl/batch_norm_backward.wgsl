// The gradient of batch normalisation's input. With z = (x - m) * r, and g = dy where the activation function of
// z * w + b has a slope, else 0 (`activation`: 0 none, 1 ReLU, 2 ReLU6):
//
//   in training  dx = w * r * (g - (db + z * dw) / plane)
//   otherwise    dx = w * r * g
//
// x, dy, dx: maps × plane; w, b, dw, db: maps; stats: m of all maps, then r. One thread computes one number.

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
  training: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read> dw: array<f32>;
@group(0) @binding(6) var<storage, read> db: array<f32>;
@group(0) @binding(7) var<storage, read> dy: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn batch_norm_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  let map = i / u.plane;
  if (map >= u.maps) {
    return;
  }
  let r = stats[u.maps + map];
  let centred = x[i] - stats[map];
  var g = select(0.0, dy[i], has_slope(centred * (r * w[map]) + b[map]));
  if (u.training == 1u) {
    g -= (db[map] + centred * r * dw[map]) / f32(u.plane);
  }
  dx[i] = w[map] * r * g;
}

// By the bits, as in epilogue_backward.wgsl.
fn has_slope(z: f32) -> bool {
  let bits = bitcast<u32>(z);
  let isLow = (bits == 0u) | (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  return (u.activation == 0u) | !(isLow | isHigh);
}
