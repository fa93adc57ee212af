// Stochastic gradient descent with momentum and weight decay, paper §5.
//
//   v ← momentum * v - decay * rate * w - rate * dw
//   w ← w + v, or with Nesterov, `ahead`, w + momentum * v - decay * rate * w - rate * dw
//
// w, v, dw: `size` elements. One thread updates LANES elements.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;

struct Uniforms {
  size: u32,
  rate: f32,
  momentum: f32,
  decay: f32,
  ahead: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> w: array<Value>;
@group(0) @binding(2) var<storage, read_write> v: array<Value>;
@group(0) @binding(3) var<storage, read> dw: array<Value>;

@compute @workgroup_size(THREADS)
fn sgd(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  let decay = u.decay * u.rate * w[i];
  let step = u.rate * dw[i];
  let velocity = u.momentum * v[i] - decay - step;
  v[i] = velocity;
  w[i] += select(velocity, u.momentum * velocity - decay - step, u.ahead == 1u);
}
