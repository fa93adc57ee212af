// dy = 0 where y = f(z) has no slope: the gradient of z, in place of that of y. `activation` is f: 1 for ReLU, 2 for
// ReLU6, 0 for none.
//
// For large GPUs. y, dy: `size` elements, a multiple of 4. One thread computes four. Where y is NaN dy stays; see
// relu_forward.wgsl.

struct Uniforms {
  size: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;

@compute @workgroup_size(256)
fn epilogue_backward_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i >= u.size / 4u) {
    return;
  }
  dy[i] = select(vec4f(), dy[i], has_slope(y[i]));
}

// By the bits, which are 0x40c00000 to 0x7f800000 for 6 to infinity.
fn has_slope(y: vec4f) -> vec4<bool> {
  let bits = bitcast<vec4u>(y);
  let isLow = (bits == vec4u()) | (bits - vec4u(0x80000000u) <= vec4u(0x7f800000u));
  let isHigh = vec4<bool>(u.activation == 2u) & (bits - vec4u(0x40c00000u) <= vec4u(0x3ec00000u));
  return vec4<bool>(u.activation == 0u) | !(isLow | isHigh);
}
