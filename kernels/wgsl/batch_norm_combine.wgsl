// Batch normalisation: the statistics of each map from those of its `cuts` equal parts, with means m_i and variances v_i:
//
//   m = sum of m_i / cuts,  v = sum of (v_i + (m_i - m)^2) / cuts
//
// and r = 1 / sqrt(v + epsilon); the running mean and variance move towards them as in batch_norm_statistics.wgsl. parts:
// m_i of maps × cuts parts, then 1 / sqrt(v_i) of as many; stats: m of all maps, then r. plane: how many numbers a map has.
// One thread computes one map.

struct Uniforms {
  maps: u32,
  cuts: u32,
  plane: u32,
  momentum: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;

@compute @workgroup_size(64)
fn batch_norm_combine(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let map = id.x + id.y * groups.x * 64u;
  if (map >= u.maps) {
    return;
  }
  let first = map * u.cuts;
  let end = first + u.cuts;
  var sum = 0.0;
  for (var i = first; i < end; i++) {
    sum += parts[i];
  }
  let m = sum / f32(u.cuts);
  var squares = 0.0;
  for (var i = first; i < end; i++) {
    let r = parts[u.maps * u.cuts + i];
    let d = parts[i] - m;
    squares += 1.0 / (r * r) + d * d;
  }
  let v = squares / f32(u.cuts);
  mean[map] += u.momentum * (m - mean[map]);
  variance[map] += u.momentum * (v * (f32(u.plane) / f32(u.plane - 1u)) - variance[map]);
  stats[map] = m;
  stats[u.maps + map] = 1.0 / sqrt(v + u.epsilon);
}
