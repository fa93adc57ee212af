// Local response normalisation across maps, backward (paper §3.3).
//
//   dx_i = dy_i * s_i^-beta - 2 * alpha * beta * x_i * sum over j of dy_j * x_j * s_j^-(beta+1)
//
// with j within `reach` maps of i, inside i's group of maps, and s as in lrn_forward.wgsl, computed anew. x, dy, dx:
// maps × plane, where a plane is H × W × N. One thread computes all maps of one position of the plane. Where x is a result
// of an activation function (`activation`: 0 none, 1 ReLU, 2 ReLU6) that has no slope there, dx is 0.

struct Uniforms {
  maps: u32,
  plane: u32,
  groupMaps: u32,
  reach: u32,
  k: f32,
  alpha: f32,
  beta: f32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn lrn_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let p = id.x + id.y * groups.x * 64u;
  if (p >= u.plane) {
    return;
  }
  for (var i = 0u; i < u.maps; i++) {
    let group = i - i % u.groupMaps;
    let first = max(group, max(i, u.reach) - u.reach);
    let last = min(group + u.groupMaps - 1u, i + u.reach);
    var sum = 0.0;
    for (var j = first; j <= last; j++) {
      let at = j * u.plane + p;
      sum += dy[at] * x[at] * power(scale(j, p), -(u.beta + 1.0));
    }
    let at = i * u.plane + p;
    let gradient = dy[at] * power(scale(i, p), -u.beta) - 2.0 * u.alpha * u.beta * x[at] * sum;
    dx[at] = select(0.0, gradient, has_slope(x[at]));
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

// Whether the activation function whose result is y has a slope there. By the bits, as in epilogue_backward.wgsl.
fn has_slope(y: f32) -> bool {
  let bits = bitcast<u32>(y);
  let isLow = (bits == 0u) | (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  return (u.activation == 0u) | !(isLow | isHigh);
}
