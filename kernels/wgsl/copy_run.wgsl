// y[yFirst + i] = x[xFirst + i] for i < size; the rest of y stays
//
// `size` elements. One thread copies LANES elements.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;

struct Uniforms {
  size: u32,
  xFirst: u32,
  yFirst: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

@compute @workgroup_size(THREADS)
fn copy_run(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  y[u.yFirst / LANES + i] = x[u.xFirst / LANES + i];
}
