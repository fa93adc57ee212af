// Stochastic gradient descent with momentum and weight decay, paper §5.
//
//   v ← momentum * v - decay * rate * w - rate * dw
//   w ← w + v, or with Nesterov, `ahead`, w + momentum * v - decay * rate * w - rate * dw
//
// For large GPUs. w, v, dw: `size` elements, a multiple of 4. One thread updates four.

struct Uniforms {
  size: u32,
  rate: f32,
  momentum: f32,
  decay: f32,
  ahead: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> dw: array<vec4f>;

@compute @workgroup_size(256)
fn sgd_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i >= u.size / 4u) {
    return;
  }
  let decay = u.decay * u.rate * w[i];
  let step = u.rate * dw[i];
  let velocity = u.momentum * v[i] - decay - step;
  v[i] = velocity;
  w[i] += select(velocity, u.momentum * velocity - decay - step, u.ahead == 1u);
}
