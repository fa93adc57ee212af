// Stochastic gradient descent with momentum and weight decay, paper §5.
//
//   v ← momentum * v - decay * rate * w - rate * dw
//   w ← w + v
//
// w, v, dw: `size` elements. One thread updates one element.

struct Uniforms {
  size: u32,
  rate: f32,
  momentum: f32,
  decay: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;
@group(0) @binding(3) var<storage, read> dw: array<f32>;

@compute @workgroup_size(64)
fn sgd(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  let velocity = u.momentum * v[i] - u.decay * u.rate * w[i] - u.rate * dw[i];
  v[i] = velocity;
  w[i] += velocity;
}
