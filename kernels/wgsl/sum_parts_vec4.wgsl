// y_i = sum over s of parts[s, i], added to what y holds if `accumulate` is 1: adds up the parts of a sum, always in
// the same order.
//
// For large GPUs. parts: count × size, y: size, a multiple of 4. One thread computes four elements.

struct Uniforms {
  size: u32,
  count: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> parts: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn sum_parts_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  let quads = u.size / 4u;
  if (i >= quads) {
    return;
  }
  var sum = vec4f();
  if (u.accumulate == 1u) {
    sum = y[i];
  }
  for (var s = 0u; s < u.count; s++) {
    sum += parts[s * quads + i];
  }
  y[i] = sum;
}
