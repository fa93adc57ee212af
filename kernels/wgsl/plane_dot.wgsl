// y[c, n] = sum over p of a[c, p, n] * b[c, p, n]
//
// a, b: maps × plane × images, y: maps × images. A workgroup computes one map of 32 images, or of fewer if there are no
// more, so that neighbours read neighbouring addresses. Teams share the plane; their sums are added in pairs, always in
// the same order.

const THREADS = 256u;
const LANES = 32u;

struct Uniforms {
  maps: u32,
  plane: u32,
  images: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn plane_dot(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let blocks = (u.images + LANES - 1u) / LANES;
  let c = (id.x + id.y * groups.x) / blocks;
  if (c >= u.maps) {
    return;
  }
  // Some threads have no team if the images don't divide 256.
  let lanes = min(u.images, LANES);
  let teams = THREADS / lanes;
  let team = thread / lanes;
  let n = (id.x + id.y * groups.x) % blocks * LANES + thread % lanes;
  var sum = 0.0;
  if (team < teams && n < u.images) {
    for (var p = team; p < u.plane; p += teams) {
      let at = (c * u.plane + p) * u.images + n;
      sum += a[at] * b[at];
    }
  }
  sums[thread] = sum;
  for (var left = teams; left > 1u; left = (left + 1u) / 2u) {
    workgroupBarrier();
    let half = (left + 1u) / 2u;
    if (team + half < left) {
      sums[thread] += sums[thread + half * lanes];
    }
  }
  if (team == 0u && n < u.images) {
    y[c * u.images + n] = sums[thread];
  }
}
