// Keeps a workgroup busy: each of its 256 threads computes a chain of fused multiplications and additions, one waiting
// for the other, and nothing else:
//
//   y[i] = v after `steps` times v ← v · 0.999 + 0.001, from v = i mod 256
//
// One thread a result. `groups` is how many workgroups are started.

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
