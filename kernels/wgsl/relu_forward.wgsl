// y = max(0, x), paper §3.1
//
// x, y: `size` elements. One thread computes one element. NaN stays NaN, since 0 in its place would hide that a
// training has diverged. Most GPUs' max() makes it 0, and a compiler may turn a comparison into max(), or assume that
// there are no NaNs. So the bits are compared, which are 0x80000000 to 0xff800000 for -0 to -infinity.

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
  y[i] = select(x[i], 0.0, bitcast<u32>(x[i]) - 0x80000000u <= 0x7f800000u);
}
