// Batch normalisation (arXiv 1502.03167): the mean m of each map, and r = 1 / sqrt(v + epsilon) of its variance v.
//
// In training m and v are those of the map's plane = H × W × N numbers, and the running ones move towards them by
// `momentum`, the variance without bias; otherwise they are the running ones. stats: m of all maps, then r. One
// workgroup computes one map, in two passes: differences of large sums of squares would lose the variance. The order
// of additions is always the same.

const THREADS = 256u;

struct Uniforms {
  maps: u32,
  plane: u32,
  training: u32,
  momentum: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;

var<workgroup> sums: array<f32, THREADS>;

// The sum over all threads, for each of them.
fn total(thread: u32, own: f32) -> f32 {
  sums[thread] = own;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  workgroupBarrier();
  let sum = sums[0];
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(THREADS)
fn batch_norm_statistics(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let map = id.x + id.y * groups.x;
  if (map >= u.maps) {
    return;
  }
  let first = map * u.plane + thread;
  let end = (map + 1u) * u.plane;
  var m = mean[map];
  var v = variance[map];
  if (u.training == 1u) {
    var four = vec4f();
    var at = first;
    for (; at + 3u * THREADS < end; at += 4u * THREADS) {
      four += vec4f(x[at], x[at + THREADS], x[at + 2u * THREADS], x[at + 3u * THREADS]);
    }
    for (; at < end; at += THREADS) {
      four.x += x[at];
    }
    m = total(thread, (four.x + four.y) + (four.z + four.w)) / f32(u.plane);
    four = vec4f();
    for (at = first; at + 3u * THREADS < end; at += 4u * THREADS) {
      let d = vec4f(x[at], x[at + THREADS], x[at + 2u * THREADS], x[at + 3u * THREADS]) - m;
      four += d * d;
    }
    for (; at < end; at += THREADS) {
      let d = x[at] - m;
      four.x += d * d;
    }
    let squares = total(thread, (four.x + four.y) + (four.z + four.w));
    v = squares / f32(u.plane);
    if (thread == 0u) {
      mean[map] += u.momentum * (m - mean[map]);
      variance[map] += u.momentum * (squares / f32(u.plane - 1u) - variance[map]);
    }
  }
  if (thread == 0u) {
    stats[map] = m;
    stats[u.maps + map] = 1.0 / sqrt(v + u.epsilon);
  }
}
