// Adam with decoupled weight decay (arXiv 1711.05101, algorithm 2).
//
//   m ← beta1 * m + (1 - beta1) * dw
//   v ← beta2 * v + (1 - beta2) * dw²
//   w ← w - rate * decay * w - step * m / (sqrt(v) * scale + epsilon)
//
// step = rate / (1 - beta1^t) and scale = 1 / sqrt(1 - beta2^t) correct the bias of the t-th step.
// w, m, v, dw: `size` elements. One thread updates LANES elements.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;

struct Uniforms {
  size: u32,
  rate: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  decay: f32,
  step: f32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> w: array<Value>;
@group(0) @binding(2) var<storage, read_write> m: array<Value>;
@group(0) @binding(3) var<storage, read_write> v: array<Value>;
@group(0) @binding(4) var<storage, read> dw: array<Value>;

@compute @workgroup_size(THREADS)
fn adamw(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  let g = dw[i];
  let first = u.beta1 * m[i] + (1.0 - u.beta1) * g;
  let second = u.beta2 * v[i] + (1.0 - u.beta2) * g * g;
  m[i] = first;
  v[i] = second;
  w[i] -= u.rate * u.decay * w[i] + u.step * first / (sqrt(second) * u.scale + u.epsilon);
}
