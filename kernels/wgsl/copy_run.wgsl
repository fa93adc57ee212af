// y[yFirst + i] = x[xFirst + i] for i < size; the rest of y stays
//
// `size` elements. One thread copies one element.

struct Uniforms {
  size: u32,
  xFirst: u32,
  yFirst: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn copy_run(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  y[u.yFirst + i] = x[u.xFirst + i];
}
