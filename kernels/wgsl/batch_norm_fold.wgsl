// Batch normalisation of a convolution's sums, by running means and variances, as one factor and one bias for each map:
//
//   s = w / sqrt(variance + epsilon),  t = (bias - mean) * s + b
//
// w, b, mean, variance, the convolution's bias, s, t: `size` maps. One thread computes one map.

struct Uniforms {
  size: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> s: array<f32>;
@group(0) @binding(7) var<storage, read_write> t: array<f32>;

@compute @workgroup_size(64)
fn batch_norm_fold(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let map = id.x + id.y * groups.x * 64u;
  if (map >= u.size) {
    return;
  }
  let factor = w[map] / sqrt(variance[map] + u.epsilon);
  s[map] = factor;
  t[map] = (bias[map] - mean[map]) * factor + b[map];
}
