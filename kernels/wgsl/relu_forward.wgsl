// y = max(0, x), paper §3.1
//
// x, y: `size` elements. One thread computes LANES elements. NaN stays NaN, since 0 in its place would hide that a
// training has diverged. Most GPUs' max() makes it 0, and a compiler may turn a comparison into max(), or assume that
// there are no NaNs. So the bits are compared, which are 0x80000000 to 0xff800000 for -0 to -infinity.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;
alias Bits = u32;

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

@compute @workgroup_size(THREADS)
fn relu_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  let z = x[i];
  y[i] = select(z, Value(), bitcast<Bits>(z) - Bits(0x80000000u) <= Bits(0x7f800000u));
}
