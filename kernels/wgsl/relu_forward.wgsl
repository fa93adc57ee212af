// y = max(0, x), paper §3.1
//
// x, y: `size` elements. One thread computes one element. Most GPUs' max() would make 0 of NaN and so hide a training
// that diverges; a comparison keeps it.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn relu_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  y[i] = select(x[i], 0.0, x[i] <= 0.0);
}
