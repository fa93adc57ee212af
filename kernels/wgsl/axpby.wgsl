// y ← beta * y + alpha * x
//
// x, y: `size` elements. One thread computes one element.

struct Uniforms {
  size: u32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn axpby(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  y[i] = u.beta * y[i] + u.alpha * x[i];
}
