// scale = 1 / (sqrt(sum over i of gram[i, i]) + epsilon): one over the norm of a matrix, by the trace of its Gram matrix
//
// gram: side × side, scale: 1. One workgroup: each thread sums every 64th element of the diagonal, then the sums are
// added in pairs.

const THREADS = 64u;

struct Uniforms {
  side: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> gram: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn gram_scale(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < u.side; i += THREADS) {
    sum += gram[i * (u.side + 1u)];
  }
  sums[thread] = sum;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  if (thread == 0u) {
    scale[0] = 1.0 / (sqrt(sums[0]) + u.epsilon);
  }
}
