// y = max(0, x), paper §3.1; see relu_forward.wgsl for NaN
//
// For large GPUs. x, y: `size` elements, a multiple of 4. One thread computes four.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn relu_forward_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i >= u.size / 4u) {
    return;
  }
  let z = x[i];
  y[i] = select(z, vec4f(), bitcast<vec4u>(z) - vec4u(0x80000000u) <= vec4u(0x7f800000u));
}
