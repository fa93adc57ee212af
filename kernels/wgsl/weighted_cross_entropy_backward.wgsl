// Cross-entropy with a weight for each class, backward.
//
//   t[k, n]  = (1 - smoothing) * (share * [k = label n] + (1 - share) * [k = other n]) + smoothing / K
//   dz[k, n] = (p[k, n] * sums_n - w[k] * t[k, n]) * dloss / valid, 0 from image `valid` on
//
// p, dz: K × N; labels, others, shares, sums: N; w: K; dloss: 1. sums_n is the sum over k of w[k] * t[k, n]. Where other
// and label are the same, the share is ignored. One thread computes one element.

struct Uniforms {
  classes: u32,
  images: u32,
  valid: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> others: array<u32>;
@group(0) @binding(4) var<storage, read> shares: array<f32>;
@group(0) @binding(5) var<storage, read> w: array<f32>;
@group(0) @binding(6) var<storage, read> sums: array<f32>;
@group(0) @binding(7) var<storage, read> dloss: array<f32>;
@group(0) @binding(8) var<storage, read_write> dz: array<f32>;

@compute @workgroup_size(64)
fn weighted_cross_entropy_backward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.classes * u.images) {
    return;
  }
  let k = i / u.images;
  let n = i % u.images;
  let isLabel = k == labels[n];
  let isOther = k == others[n];
  var wanted = select(0.0, 1.0, isLabel);
  if (isLabel != isOther) {
    wanted = select(1.0 - shares[n], shares[n], isLabel);
  }
  let expected = (1.0 - u.smoothing) * wanted + u.smoothing / f32(u.classes);
  dz[i] = select(0.0, (p[i] * sums[n] - w[k] * expected) * dloss[0] / f32(u.valid), n < u.valid);
}
