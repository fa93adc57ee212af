// Max pooling with windows that may overlap, forward (paper §3.4).
//
//   y[c, p, q, n] = x at the first largest pixel of the window, in row-major order; at the last that is NaN, if one is
//
// The window's first pixel is (p * stride - pad, q * stride - pad); those outside the image don't count. x: C × H × W ×
// N; y and argmax, the largest pixel as row * W + column: C × OH × OW × N. One thread computes one element of y. Where x
// is a result of an activation function (`activation`: 0 none, 1 ReLU, 2 ReLU6) that has no slope there, argmax is none, so
// that the backward pass computes the gradient of that function's argument.

const NONE = 0xffffffffu;

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
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

@compute @workgroup_size(64)
fn max_pool_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.oh * u.ow * u.images) {
    return;
  }
  let n = at % u.images;
  let q = at / u.images % u.ow;
  let p = at / u.images / u.ow % u.oh;
  let c = at / u.images / u.ow / u.oh;
  // The window is larger than pad: nothing here falls below 0.
  let firstRow = max(p * u.stride, u.pad) - u.pad;
  let firstColumn = max(q * u.stride, u.pad) - u.pad;
  let endRow = min(p * u.stride + u.window - u.pad, u.h);
  let endColumn = min(q * u.stride + u.window - u.pad, u.w);
  let map = c * u.h * u.w;
  var winner = firstRow * u.w + firstColumn;
  var best = x[(map + winner) * u.images + n];
  var foundNan = false;
  for (var row = firstRow; row < endRow; row++) {
    for (var column = firstColumn; column < endColumn; column++) {
      let pixel = row * u.w + column;
      let value = x[(map + pixel) * u.images + n];
      // Once one is NaN, nothing is compared with `best`: only another NaN wins.
      foundNan |= is_nan(value);
      if (select(value > best, is_nan(value), foundNan)) {
        best = value;
        winner = pixel;
      }
    }
  }
  y[at] = best;
  argmax[at] = select(NONE, winner, has_slope(best));
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
