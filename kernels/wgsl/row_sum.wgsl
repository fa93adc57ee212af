// y_i = sum over j of x[i, j]: the gradient of a bias that was added to every element of its row.
//
// x: rows × columns, y: rows. One workgroup computes one row: each thread sums every 256th element, then the sums are
// added in pairs. The order of additions is always the same, so that results repeat bit for bit.

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
  var sum = 0.0;
  for (var j = thread; j < u.columns; j += THREADS) {
    sum += x[row * u.columns + j];
  }
  sums[thread] = sum;
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
