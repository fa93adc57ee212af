// dx[k, n] = y[k, n] * (dy[k, n] - dots[n]), dots[n] = sum over j of y[j, n] * dy[j, n]
//
// y, dy, dx: classes × columns, dots: columns. One thread computes one element.

struct Uniforms {
  classes: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> dots: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn softmax_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.classes * u.columns) {
    return;
  }
  dx[i] = y[i] * (dy[i] - dots[i % u.columns]);
}
