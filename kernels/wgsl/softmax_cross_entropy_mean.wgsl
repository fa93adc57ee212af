// loss = sum over n of losses_n / valid: the mean loss of a batch, paper §3.5.
//
// losses: N, loss: 1; losses from image `valid` on are 0. One workgroup: each thread sums every 256th loss, then the
// sums are added in pairs, always in the same order.

const THREADS = 256u;

struct Uniforms {
  images: u32,
  valid: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn softmax_cross_entropy_mean(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var n = thread; n < u.images; n += THREADS) {
    sum += losses[n];
  }
  sums[thread] = sum;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  if (thread == 0u) {
    loss[0] = sums[0] / f32(u.valid);
  }
}
