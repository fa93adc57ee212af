// y_i = sum over j of x[i, j]: the gradient of a bias that was added to every element of its row.
//
// x: rows × columns, y: rows. One workgroup computes one row: each thread sums every 256th element, in four sums, so
// that four loads are in flight; then the sums are added in pairs. The order of additions is fixed, so results are
// reproducible bit for bit.

const THREADS = 256u;

struct Uniforms {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn row_sum(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = id.x + id.y * groups.x;
  if (row >= u.rows) {
    return;
  }
  let end = (row + 1u) * u.columns;
  var at = row * u.columns + thread;
  var four = vec4f();
  for (; at + 3u * THREADS < end; at += 4u * THREADS) {
    four += vec4f(x[at], x[at + THREADS], x[at + 2u * THREADS], x[at + 3u * THREADS]);
  }
  for (; at < end; at += THREADS) {
    four.x += x[at];
  }
  sums[thread] = (four.x + four.y) + (four.z + four.w);
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  if (thread == 0u) {
    y[row] = sums[0];
  }
}
