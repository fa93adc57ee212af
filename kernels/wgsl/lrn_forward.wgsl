// Local response normalisation across maps, forward (paper §3.3).
//
//   s_i = k + alpha * sum over j of x_j^2,  j within `reach` maps of i, inside i's group of maps
//   y_i = x_i * s_i^-beta
//
// x, y: maps × plane, where a plane is H × W × N. One thread computes all maps of one position of the plane, so that
// neighbouring threads read neighbouring addresses.

struct Uniforms {
  maps: u32,
  plane: u32,
  groupMaps: u32,
  reach: u32,
  k: f32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn lrn_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let p = id.x + id.y * groups.x * 64u;
  if (p >= u.plane) {
    return;
  }
  for (var i = 0u; i < u.maps; i++) {
    let at = i * u.plane + p;
    y[at] = x[at] * power(scale(i, p), -u.beta);
  }
}

// s of map i at position p.
fn scale(i: u32, p: u32) -> f32 {
  let group = i - i % u.groupMaps;
  let first = max(group, max(i, u.reach) - u.reach);
  let last = min(group + u.groupMaps - 1u, i + u.reach);
  var sum = 0.0;
  for (var j = first; j <= last; j++) {
    let v = x[j * u.plane + p];
    sum += v * v;
  }
  return u.k + u.alpha * sum;
}

// s^exponent. NaN stays NaN; some drivers' pow() returns 0 for it.
fn power(s: f32, exponent: f32) -> f32 {
  return select(pow(s, exponent), s, is_nan(s));
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
