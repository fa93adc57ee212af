// y[k, n] = exp(x[k, n] - max x) / sum over j of exp(x[j, n] - max x)
//
// x, y: classes × columns. A NaN makes its column NaN. A workgroup computes 8 columns, so that neighbours read
// neighbouring addresses. 32 teams share the classes; what they find is put together in pairs, always in the same order.

const COLUMNS = 8u;
const TEAMS = 32u;
const THREADS = 256u;

struct Uniforms {
  classes: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Each thread's largest number, then its sum of exponentials.
var<workgroup> found: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn softmax_forward(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let team = thread / COLUMNS;
  let wanted = (id.x + id.y * groups.x) * COLUMNS + thread % COLUMNS;
  // Columns beyond the last are computed like the last and not stored.
  let stores = wanted < u.columns;
  let n = min(wanted, u.columns - 1u);

  var largest = x[n];
  for (var k = team; k < u.classes; k += TEAMS) {
    largest = larger(largest, x[k * u.columns + n]);
  }
  found[thread] = largest;
  for (var half = THREADS / 2u; half >= COLUMNS; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      found[thread] = larger(found[thread], found[thread + half]);
    }
  }
  workgroupBarrier();
  largest = found[thread % COLUMNS];
  workgroupBarrier();

  var sum = 0.0;
  for (var k = team; k < u.classes; k += TEAMS) {
    let e = exp(x[k * u.columns + n] - largest);
    if (stores) {
      y[k * u.columns + n] = e;
    }
    sum += e;
  }
  found[thread] = sum;
  for (var half = THREADS / 2u; half >= COLUMNS; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      found[thread] += found[thread + half];
    }
  }
  workgroupBarrier();
  sum = found[thread % COLUMNS];

  if (!stores) {
    return;
  }
  for (var k = team; k < u.classes; k += TEAMS) {
    let at = k * u.columns + n;
    y[at] = select(y[at] / sum, largest, is_nan(largest));
  }
}

// The larger one, NaN where one is.
fn larger(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}

// By the bits, since a compiler may assume that no number is NaN.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
