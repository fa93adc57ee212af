// Batch normalisation: y = (x - m) * r * w + b
//
// x, y: maps × plane, a plane being H × W × N; w, b: maps; stats: m of all maps, then r. One thread computes one number.

struct Uniforms {
  maps: u32,
  plane: u32,
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
  y[i] = (x[i] - stats[map]) * (stats[u.maps + map] * w[map]) + b[map];
}
