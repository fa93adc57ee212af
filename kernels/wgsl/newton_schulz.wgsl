// y ← s * (a * I + b * s² * gram + c * s⁴ * y), I being the identity
//
// gram: side × side; y: the same, gram² before; scale: s, 1. One thread computes one element.

struct Uniforms {
  side: u32,
  a: f32,
  b: f32,
  c: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> gram: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn newton_schulz(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= u.side * u.side) {
    return;
  }
  let s = scale[0];
  let identity = select(0.0, u.a, i / u.side == i % u.side);
  // s⁴ alone could overflow.
  y[i] = s * (identity + s * s * (u.b * gram[i] + s * s * (u.c * y[i])));
}
