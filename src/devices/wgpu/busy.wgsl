// Keeps a workgroup busy: each of its 256 threads computes just a chain of fused multiply-adds that depend on one
// another:
//
//   y[i] = v after `steps` times v ← v · 0.999 + 0.001, starting from v = i mod 256
//
// One thread per result. `groups` is the number of workgroups.

struct Uniforms {
  groups: u32,
  steps: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn busy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var v = f32(local);
  for (var step = 0u; step < u.steps; step += 8u) {
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
    v = fma(v, 0.999, 0.001);
  }
  y[id.x] = v;
}
