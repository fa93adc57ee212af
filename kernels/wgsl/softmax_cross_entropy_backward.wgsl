// Softmax and cross-entropy, backward (paper §3.5).
//
//   dz[k, n] = (p[k, n] - [k = label n]) * dloss / valid, 0 from image `valid` on
//
// p, dz: K × N; labels: N; dloss: 1. One thread computes one element.

struct Uniforms {
  classes: u32,
  images: u32,
  valid: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<f32>;

@compute @workgroup_size(64)
fn softmax_cross_entropy_backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.classes * u.images) {
    return;
  }
  let k = i / u.images;
  let n = i % u.images;
  let wanted = select(0.0, 1.0, k == labels[n]);
  dz[i] = select(0.0, (p[i] - wanted) * dloss[0] / f32(u.valid), n < u.valid);
}
