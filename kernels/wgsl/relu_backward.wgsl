// dx = 0 where y <= 0, else dy: the gradient of y = max(0, x), paper §3.1
//
// y, dy, dx: `size` elements. One thread computes one element. Where y is NaN dx is dy; see relu_forward.wgsl.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn relu_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  let bits = bitcast<u32>(y[i]);
  dx[i] = select(dy[i], 0.0, (bits == 0u) | (bits - 0x80000000u <= 0x7f800000u));
}
