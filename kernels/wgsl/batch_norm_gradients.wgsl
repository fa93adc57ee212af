// The gradients of batch normalisation's scale and shift:
//
//   dw = sum of dy * (x - m) * r,  db = sum of dy
//
// x, dy: maps × plane; dw, db: maps; stats: m of all maps, then r. One workgroup computes one map. The order of additions
// is always the same.

const THREADS = 256u;

struct Uniforms {
  maps: u32,
  plane: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dw: array<f32>;
@group(0) @binding(5) var<storage, read_write> db: array<f32>;

var<workgroup> sums: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn batch_norm_gradients(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let map = id.x + id.y * groups.x;
  if (map >= u.maps) {
    return;
  }
  let end = (map + 1u) * u.plane;
  let m = stats[map];
  var own = vec2f();
  var next = vec2f();
  var at = map * u.plane + thread;
  for (; at + THREADS < end; at += 2u * THREADS) {
    own += dy[at] * vec2f(x[at] - m, 1.0);
    next += dy[at + THREADS] * vec2f(x[at + THREADS] - m, 1.0);
  }
  if (at < end) {
    own += dy[at] * vec2f(x[at] - m, 1.0);
  }
  sums[thread] = own + next;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  if (thread == 0u) {
    dw[map] = sums[0].x * stats[u.maps + map];
    db[map] = sums[0].y;
  }
}
