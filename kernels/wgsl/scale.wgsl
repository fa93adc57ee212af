// y[c, p, n] = factor * x[c, n]
//
// x: C × N, y: C × plane × N, `size` elements, N being `images`; with a plane of 1 both are the same. One thread computes
// one element of y.

struct Uniforms {
  size: u32,
  plane: u32,
  images: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  y[i] = u.factor * x[i / (u.plane * u.images) * u.images + i % u.images];
}
