// dx = 0 where y <= 0, else dy: the gradient of y = max(0, x), paper §3.1
//
// For large GPUs. y, dy, dx: `size` elements, a multiple of 4. One thread computes four. Where y is NaN dx is dy; see
// relu_forward.wgsl.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn relu_backward_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i >= u.size / 4u) {
    return;
  }
  let bits = bitcast<vec4u>(y[i]);
  let isFlat = (bits == vec4u()) | (bits - vec4u(0x80000000u) <= vec4u(0x7f800000u));
  dx[i] = select(dy[i], vec4f(), isFlat);
}
