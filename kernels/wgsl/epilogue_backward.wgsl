// dy = 0 where y = f(z) has no slope: the gradient of z, in place of that of y. `activation` is f: 1 for ReLU, 2 for
// ReLU6, 0 for none.
//
// y, dy: `size` elements. One thread computes one element. Where y is NaN dy stays; see relu_forward.wgsl.

struct Uniforms {
  size: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;

@compute @workgroup_size(64)
fn epilogue_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  dy[i] = select(0.0, dy[i], has_slope(y[i]));
}

// By the bits, which are 0x40c00000 to 0x7f800000 for 6 to infinity.
fn has_slope(y: f32) -> bool {
  let bits = bitcast<u32>(y);
  let isLow = (bits == 0u) | (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  return (u.activation == 0u) | !(isLow | isHigh);
}
