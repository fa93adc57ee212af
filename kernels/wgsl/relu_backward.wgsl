// dx = 0 where y <= 0, else dy: the gradient of y = max(0, x), paper §3.1
//
// y, dy, dx: `size` elements. One thread computes LANES elements. Where y is NaN dx is dy; see relu_forward.wgsl.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;
alias Bits = u32;

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> y: array<Value>;
@group(0) @binding(2) var<storage, read> dy: array<Value>;
@group(0) @binding(3) var<storage, read_write> dx: array<Value>;

@compute @workgroup_size(THREADS)
fn relu_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  let bits = bitcast<Bits>(y[i]);
  let isFlat = (bits == Bits()) | (bits - Bits(0x80000000u) <= Bits(0x7f800000u));
  dx[i] = select(dy[i], Value(), isFlat);
}
