// Cross-entropy with a weight for each class: the losses of images from those without weights.
//
//   t[k, n]  = (1 - smoothing) * (share * [k = label n] + (1 - share) * [k = other n]) + smoothing / K
//   losses_n = -sum over k of w[k] * t[k, n] * log p[k, n], 0 from image `valid` on
//   sums_n   = sum over k of w[k] * t[k, n]
//
// z: K × N; labels, others, shares, losses, sums: N; w: K. `losses` comes in as -log p[label n, n], from which
// -log p[k, n] follows by the difference of logits. Where other and label are the same, the share is ignored. One
// thread computes one image.

struct Uniforms {
  classes: u32,
  images: u32,
  valid: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> others: array<u32>;
@group(0) @binding(4) var<storage, read> shares: array<f32>;
@group(0) @binding(5) var<storage, read> w: array<f32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn weighted_cross_entropy_forward(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let n = id.x + id.y * groups.x * 64u;
  if (n >= u.images) {
    return;
  }
  // A label that is no class must not read memory outside of z and w.
  let right = min(labels[n], u.classes - 1u);
  let other = min(others[n], u.classes - 1u);
  let top = z[right * u.images + n] + losses[n];
  var sum = w[right];
  var loss = w[right] * losses[n];
  if (other != right) {
    let share = shares[n];
    sum = share * w[right] + (1.0 - share) * w[other];
    loss = share * loss + (1.0 - share) * w[other] * (top - z[other * u.images + n]);
  }
  if (u.smoothing > 0.0) {
    var allWeights = 0.0;
    var allLosses = 0.0;
    for (var k = 0u; k < u.classes; k++) {
      allWeights += w[k];
      allLosses += w[k] * (top - z[k * u.images + n]);
    }
    sum = (1.0 - u.smoothing) * sum + u.smoothing / f32(u.classes) * allWeights;
    loss = (1.0 - u.smoothing) * loss + u.smoothing / f32(u.classes) * allLosses;
  }
  losses[n] = select(0.0, loss, n < u.valid);
  sums[n] = sum;
}
