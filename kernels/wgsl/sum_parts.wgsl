// y_i = sum over s of parts[s, i], added to what y holds if `accumulate` is 1: adds up the parts of a sum, always in
// the same order.
//
// parts: count × size, y: size. One thread computes LANES elements.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;

struct Uniforms {
  size: u32,
  count: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> parts: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

@compute @workgroup_size(THREADS)
fn sum_parts(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  let size = u.size / LANES;
  if (i >= size) {
    return;
  }
  var sum = Value();
  if (u.accumulate == 1u) {
    sum = y[i];
  }
  for (var s = 0u; s < u.count; s++) {
    sum += parts[s * size + i];
  }
  y[i] = sum;
}
