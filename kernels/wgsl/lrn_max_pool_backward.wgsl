// Local response normalisation across 5 maps and max pooling of its result, backward (paper §3.3 and §3.4), without storing
// the gradient between them.
//
//   dz[c, row, column, n] = sum of dy[c, p, q, n] over the windows (p, q) whose largest pixel this is
//   dx_i = dz_i * s_i^-beta - 2 * alpha * beta * x_i * sum over j of dz_j * x_j * s_j^-(beta+1)
//
// with j within 2 maps of i, inside i's group of maps, and s as in lrn_forward.wgsl, computed anew; or 0 where x is a
// result of an activation function (`activation`: 0 none, 1 ReLU, 2 ReLU6) that has no slope there. x, dx: C × H × W × N;
// dy and argmax, the largest pixel as row * W + column: C × OH × OW × N. One thread computes up to MAPS maps of a group (z)
// at one pixel of one image, sliding along the maps as in lrn_backward_sliding.wgsl.

// Maps for each thread: few, so that a small plane has enough threads.
const MAPS = 64u;

struct Uniforms {
  images: u32,
  c: u32,
  h: u32,
  w: u32,
  oh: u32,
  ow: u32,
  window: u32,
  stride: u32,
  pad: u32,
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
@group(0) @binding(3) var<storage, read> argmax: array<u32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

// Of a neighbour j in the gradient's sum: dz_j * x_j, and s_j^-(beta+1).
struct Term {
  product: f32,
  power: f32,
}

// A pixel of an image, and the windows that cover it: rows and columns from `first` to `end` - 1.
struct Pooled {
  pixel: u32,
  n: u32,
  first: vec2u,
  end: vec2u,
}

@compute @workgroup_size(64)
fn lrn_max_pool_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let p = id.x + id.y * groups.x * 64u;
  let plane = u.h * u.w * u.images;
  if (p >= plane) {
    return;
  }
  let row = p / u.images / u.w;
  let column = p / u.images % u.w;
  let pooled = Pooled(
    p / u.images,
    p % u.images,
    vec2u(first_window(row + u.pad), first_window(column + u.pad)),
    min((vec2u(row, column) + u.pad) / u.stride + 1u, vec2u(u.oh, u.ow)),
  );
  let cuts = (u.groupMaps + MAPS - 1u) / MAPS;
  let group = id.z / cuts * u.groupMaps;
  let first = group + id.z % cuts * MAPS;
  let count = min(MAPS, group + u.groupMaps - first);
  // The window of s_j, around map j: x of j - 2 … j + 1.
  var x0 = pixel(first - 4u, group, p, plane);
  var x1 = pixel(first - 3u, group, p, plane);
  var x2 = pixel(first - 2u, group, p, plane);
  var x3 = pixel(first - 1u, group, p, plane);
  // The window of dx_i, around map i = j - 2: the terms of i - 2 … i + 1, and s and dz of i and i + 1.
  var t0 = Term();
  var t1 = Term();
  var t2 = Term();
  var t3 = Term();
  var s0 = 0.0;
  var s1 = 0.0;
  var dz0 = 0.0;
  var dz1 = 0.0;
  for (var step = 0u; step < count + 4u; step++) {
    let j = first + step - 2u;
    let x4 = pixel(j + 2u, group, p, plane);
    // In the order of lrn_backward.wgsl.
    var squares = 0.0;
    squares += x0 * x0;
    squares += x1 * x1;
    squares += x2 * x2;
    squares += x3 * x3;
    squares += x4 * x4;
    let s2 = u.k + u.alpha * squares;
    var dz2 = 0.0;
    var t4 = Term();
    if (j - group < u.groupMaps) {
      dz2 = gradient(j, pooled);
      t4 = Term(dz2 * x2, power(s2, -(u.beta + 1.0)));
    }
    if (step >= 4u) {
      var sum = 0.0;
      sum += t0.product * t0.power;
      sum += t1.product * t1.power;
      sum += t2.product * t2.power;
      sum += t3.product * t3.power;
      sum += t4.product * t4.power;
      let ofX = dz0 * power(s0, -u.beta) - 2.0 * u.alpha * u.beta * x0 * sum;
      dx[(j - 2u) * plane + p] = select(0.0, ofX, has_slope(x0));
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
    dz0 = dz1;
    dz1 = dz2;
  }
}

// x of map i at position p; 0 outside the group that begins at map `group`.
fn pixel(i: u32, group: u32, p: u32, plane: u32) -> f32 {
  // Maps before the first wrap to numbers that are too large.
  if (i - group >= u.groupMaps) {
    return 0.0;
  }
  return x[i * plane + p];
}

// dz of map i, summed in the order of max_pool_backward.wgsl.
fn gradient(i: u32, pooled: Pooled) -> f32 {
  var sum = 0.0;
  for (var p = pooled.first.x; p < pooled.end.x; p++) {
    for (var q = pooled.first.y; q < pooled.end.y; q++) {
      let at = ((i * u.oh + p) * u.ow + q) * u.images + pooled.n;
      if (argmax[at] == pooled.pixel) {
        sum += dy[at];
      }
    }
  }
  return sum;
}

// The first window along one side that covers a pixel of the padded image, or one beyond the last.
fn first_window(pixel: u32) -> u32 {
  if (pixel < u.window) {
    return 0u;
  }
  return (pixel - u.window) / u.stride + 1u;
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
