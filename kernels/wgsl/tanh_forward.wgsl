// y = tanh(x): the saturating activation that paper §3.1 compares ReLU with.
//
// x, y: `size` elements. One thread computes one element. Some drivers compute tanh as a quotient of exponentials,
// which is ∞ / ∞ for large x; from |x| = 10 on, the result is ±1 in float32 anyway. NaN stays NaN; other drivers make
// it ±1.

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn tanh_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.size) {
    return;
  }
  let number = select(tanh(x[i]), sign(x[i]), abs(x[i]) > 10.0);
  y[i] = select(number, x[i], is_nan(x[i]));
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
