// y[yFirst + i] = x[xFirst + i] for i < size; the rest of y stays
//
// For large GPUs. size, xFirst and yFirst are multiples of 4. One thread copies four elements.

struct Uniforms {
  size: u32,
  xFirst: u32,
  yFirst: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn copy_run_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i >= u.size / 4u) {
    return;
  }
  y[u.yFirst / 4u + i] = x[u.xFirst / 4u + i];
}
