// dy = 0 where y = f(z) has no slope: the gradient of z, in place of that of y. `activation` is f: 1 for ReLU, 2 for
// ReLU6, 0 for none.
//
// y, dy: `size` elements. One thread computes LANES elements. Where y is NaN dy stays; see relu_forward.wgsl.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;
alias Bits = u32;
alias Flags = bool;

struct Uniforms {
  size: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<Value>;
@group(0) @binding(2) var<storage, read_write> dy: array<Value>;

@compute @workgroup_size(THREADS)
fn epilogue_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  dy[i] = select(Value(), dy[i], has_slope(y[i]));
}

// By the bits, which are 0x40c00000 to 0x7f800000 for 6 to infinity.
fn has_slope(y: Value) -> Flags {
  let bits = bitcast<Bits>(y);
  let isLow = (bits == Bits()) | (bits - Bits(0x80000000u) <= Bits(0x7f800000u));
  let isHigh = Flags(u.activation == 2u) & (bits - Bits(0x40c00000u) <= Bits(0x3ec00000u));
  return Flags(u.activation == 0u) | !(isLow | isHigh);
}
