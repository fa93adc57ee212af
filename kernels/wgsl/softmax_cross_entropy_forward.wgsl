// Softmax, cross-entropy and rank of the right class, forward (paper §3.5).
//
//   p[k, n]  = exp(z[k, n] - max z) / sum over j of exp(z[j, n] - max z)
//   t[k, n]  = (1 - smoothing) * (share * [k = label n] + (1 - share) * [k = other n]) + smoothing / K
//   losses_n = -sum over k of t[k, n] * log p[k, n], 0 from image `valid` on
//   ranks_n  = number of classes more probable than the label; of those tied with it, the ones before it count
//
// z, p: K × N; labels, others, shares, losses, ranks: N. Where other and label are the same, the share is ignored. A
// NaN logit makes the loss and every p of its image NaN, and counts as the largest, tied with other NaNs. A workgroup
// computes 8 images, so that neighbouring threads read neighbouring addresses. 32 teams share the classes; their
// results are combined in pairs, always in the same order.

const IMAGES = 8u;
const TEAMS = 32u;
const THREADS = 256u;

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
@group(0) @binding(5) var<storage, read_write> p: array<f32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;
@group(0) @binding(7) var<storage, read_write> ranks: array<f32>;

// Each thread's largest logit and rank, then its sums of exponentials and of logits.
var<workgroup> found: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn softmax_cross_entropy_forward(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let team = thread / IMAGES;
  let wanted = (id.x + id.y * groups.x) * IMAGES + thread % IMAGES;
  // Images beyond the last are computed as copies of it and not stored.
  let stores = wanted < u.images;
  let n = min(wanted, u.images - 1u);
  // A label that is no class must not read memory outside z, which nothing else would prevent without checks.
  let right = min(labels[n], u.classes - 1u);
  let rightLogit = z[right * u.images + n];

  var largest = rightLogit;
  var rank = 0.0;
  for (var k = team; k < u.classes; k += TEAMS) {
    let logit = z[k * u.images + n];
    largest = larger(largest, logit);
    rank += select(0.0, 1.0, is_before(logit, rightLogit, k < right));
  }
  found[thread] = vec2f(largest, rank);
  for (var half = THREADS / 2u; half >= IMAGES; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      let other = found[thread + half];
      found[thread] = vec2f(larger(found[thread].x, other.x), found[thread].y + other.y);
    }
  }
  workgroupBarrier();
  largest = found[thread % IMAGES].x;
  rank = found[thread % IMAGES].y;
  workgroupBarrier();

  var sum = 0.0;
  var below = 0.0;
  for (var k = team; k < u.classes; k += TEAMS) {
    let logit = z[k * u.images + n] - largest;
    let e = exp(logit);
    below += logit;
    if (stores) {
      p[k * u.images + n] = e;
    }
    sum += e;
  }
  found[thread] = vec2f(sum, below);
  for (var half = THREADS / 2u; half >= IMAGES; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      found[thread] += found[thread + half];
    }
  }
  workgroupBarrier();
  sum = found[thread % IMAGES].x;
  below = found[thread % IMAGES].y;

  if (!stores) {
    return;
  }
  for (var k = team; k < u.classes; k += TEAMS) {
    let at = k * u.images + n;
    p[at] = select(p[at] / sum, largest, is_nan(largest));
  }
  if (team == 0u) {
    let other = min(others[n], u.classes - 1u);
    var wanted = rightLogit;
    if (other != right) {
      wanted = shares[n] * rightLogit + (1.0 - shares[n]) * z[other * u.images + n];
    }
    let loss = log(sum) - (1.0 - u.smoothing) * (wanted - largest) - u.smoothing / f32(u.classes) * below;
    losses[n] = select(0.0, select(loss, largest, is_nan(largest)), n < u.valid);
    ranks[n] = rank;
  }
}

// The larger one; NaN if either is NaN.
fn larger(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}

// Whether a class ranks before another; `first`: whether it does when tied.
fn is_before(logit: f32, other: f32, first: bool) -> bool {
  if (is_nan(logit) | is_nan(other)) {
    return is_nan(logit) & (!is_nan(other) | first);
  }
  return (logit > other) | ((logit == other) & first);
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
