// Softmax, cross-entropy and rank of the right class, forward (paper §3.5).
//
//   p[k, n]  = exp(z[k, n] - max z) / sum over j of exp(z[j, n] - max z)
//   losses_n = -log p[label n, n], 0 from image `valid` on
//   ranks_n  = number of classes more probable than the right one; of those tied with it, the ones before it count
//
// z, p: K × N; labels, losses, ranks: N. One thread computes one image, so that neighbours read neighbouring addresses.

struct Uniforms {
  classes: u32,
  images: u32,
  valid: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> p: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<storage, read_write> ranks: array<f32>;

@compute @workgroup_size(64)
fn softmax_cross_entropy_forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let n = id.x + id.y * groups.x * 64u;
  if (n >= u.images) {
    return;
  }
  // A label that is no class must not reach memory outside z: nothing else would stop it where checks are off.
  let right = min(labels[n], u.classes - 1u);
  let rightLogit = z[right * u.images + n];
  var largest = z[n];
  var rank = 0u;
  for (var k = 0u; k < u.classes; k++) {
    let logit = z[k * u.images + n];
    largest = max(largest, logit);
    if (logit > rightLogit || (logit == rightLogit && k < right)) {
      rank++;
    }
  }
  var sum = 0.0;
  for (var k = 0u; k < u.classes; k++) {
    let e = exp(z[k * u.images + n] - largest);
    p[k * u.images + n] = e;
    sum += e;
  }
  for (var k = 0u; k < u.classes; k++) {
    p[k * u.images + n] /= sum;
  }
  losses[n] = select(0.0, log(sum) + largest - rightLogit, n < u.valid);
  ranks[n] = f32(rank);
}
