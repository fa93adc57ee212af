// Local response normalisation across maps, backward (paper §3.3), for windows of 5 maps.
//
//   dx_i = dy_i * s_i^-beta - 2 * alpha * beta * x_i * sum over j of dy_j * x_j * s_j^-(beta+1)
//
// with j within 2 maps of i, inside i's group of maps, and s as in lrn_forward.wgsl, computed anew; or 0 where x is a
// result of an activation function (`activation`: 0 none, 1 ReLU, 2 ReLU6) that has no slope there. x, dy, dx: maps ×
// plane, where a plane is H × W × N. One thread computes up to MAPS maps of a group (z) at one position of the plane. It
// slides along the maps with the five that it needs in registers, and so loads each number once and computes two powers
// for each map instead of six.

// Maps for each thread: few, so that a small plane has enough threads.
const MAPS = 64u;

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

// Of a neighbour j in the gradient's sum: dy_j * x_j, and s_j^-(beta+1).
struct Term {
  product: f32,
  power: f32,
}

@compute @workgroup_size(64)
fn lrn_backward_sliding(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let p = id.x + id.y * groups.x * 64u;
  if (p >= u.plane) {
    return;
  }
  let cuts = (u.groupMaps + MAPS - 1u) / MAPS;
  let group = id.z / cuts * u.groupMaps;
  let first = group + id.z % cuts * MAPS;
  let count = min(MAPS, group + u.groupMaps - first);
  // The window of s_j, around map j: x of j - 2 … j + 1.
  var x0 = pixel(first - 4u, group, p);
  var x1 = pixel(first - 3u, group, p);
  var x2 = pixel(first - 2u, group, p);
  var x3 = pixel(first - 1u, group, p);
  // The window of dx_i, around map i = j - 2: the terms of i - 2 … i + 1, and s and dy of i and i + 1.
  var t0 = Term();
  var t1 = Term();
  var t2 = Term();
  var t3 = Term();
  var s0 = 0.0;
  var s1 = 0.0;
  var dy0 = 0.0;
  var dy1 = 0.0;
  for (var step = 0u; step < count + 4u; step++) {
    let j = first + step - 2u;
    let x4 = pixel(j + 2u, group, p);
    // In the order of lrn_backward.wgsl.
    var squares = 0.0;
    squares += x0 * x0;
    squares += x1 * x1;
    squares += x2 * x2;
    squares += x3 * x3;
    squares += x4 * x4;
    let s2 = u.k + u.alpha * squares;
    var dy2 = 0.0;
    var t4 = Term();
    if (j - group < u.groupMaps) {
      dy2 = dy[j * u.plane + p];
      t4 = Term(dy2 * x2, power(s2, -(u.beta + 1.0)));
    }
    if (step >= 4u) {
      var sum = 0.0;
      sum += t0.product * t0.power;
      sum += t1.product * t1.power;
      sum += t2.product * t2.power;
      sum += t3.product * t3.power;
      sum += t4.product * t4.power;
      let gradient = dy0 * power(s0, -u.beta) - 2.0 * u.alpha * u.beta * x0 * sum;
      dx[(j - 2u) * u.plane + p] = select(0.0, gradient, has_slope(x0));
    }
    x0 = x1;
    x1 = x2;
    x2 = x3;
    x3 = x4;
    t0 = t1;
    t1 = t2;
    t2 = t3;
    t3 = t4;
    s0 = s1;
    s1 = s2;
    dy0 = dy1;
    dy1 = dy2;
  }
}

// x of map i at position p; 0 outside the group that begins at map `group`.
fn pixel(i: u32, group: u32, p: u32) -> f32 {
  // Maps before the first wrap to numbers that are too large.
  if (i - group >= u.groupMaps) {
    return 0.0;
  }
  return x[i * u.plane + p];
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
