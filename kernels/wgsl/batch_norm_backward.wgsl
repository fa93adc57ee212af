// The gradient of batch normalisation's input. With z = (x - m) * r:
//
//   in training  dx = w * r * (dy - (db + z * dw) / plane)
//   otherwise    dx = w * r * dy
//
// x, dy, dx: maps × plane; w, dw, db: maps; stats: m of all maps, then r. One thread computes one number.

struct Uniforms {
  maps: u32,
  plane: u32,
  training: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> stats: array<f32>;
@group(0) @binding(4) var<storage, read> dw: array<f32>;
@group(0) @binding(5) var<storage, read> db: array<f32>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn batch_norm_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  let map = i / u.plane;
  if (map >= u.maps) {
    return;
  }
  let r = stats[u.maps + map];
  var g = dy[i];
  if (u.training == 1u) {
    g -= (db[map] + (x[i] - stats[map]) * r * dw[map]) / f32(u.plane);
  }
  dx[i] = w[map] * r * g;
}
