// Depthwise convolution, forward: each map has a filter of its own.
//
//   y[c, p, q, n] = f(b[c] + s[c] * sum over i, j of
//                   weights[c, i, j] * x[c, p * stride + i - pad, q * stride + j - pad, n])
//
// where f is the activation function, and s is 1 unless `scaled`. x: C × H × W × N, zero outside the image; weights:
// C × KH × KW; s, b: C; y: C × OH × OW × N. One thread computes one element of y.

struct Uniforms {
  images: u32,
  c: u32,
  h: u32,
  w: u32,
  oh: u32,
  ow: u32,
  kh: u32,
  kw: u32,
  stride: u32,
  pad: u32,
  scaled: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> s: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn depthwise_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.oh * u.ow * u.images) {
    return;
  }
  let n = at % u.images;
  let left = at / u.images % u.ow * u.stride - u.pad;
  let top = at / u.images / u.ow % u.oh * u.stride - u.pad;
  let c = at / u.images / u.ow / u.oh;
  var sum = 0.0;
  for (var i = 0u; i < u.kh; i++) {
    // Outside the image, rows and columns are too large: below zero they wrap.
    let row = top + i;
    if (row >= u.h) {
      continue;
    }
    for (var j = 0u; j < u.kw; j++) {
      let column = left + j;
      if (column < u.w) {
        sum += weights[(c * u.kh + i) * u.kw + j] * x[((c * u.h + row) * u.w + column) * u.images + n];
      }
    }
  }
  y[at] = finished(sum, c);
}

// What is stored: the sum of map c times its factor, if there is one, plus its bias, and activated: 1 by ReLU, 2 by
// ReLU6. By the bits, so that NaN stays NaN: below 0 they are from 0x80000000 on, from 6 to infinity 0x40c00000 to
// 0x7f800000.
fn finished(sum: f32, c: u32) -> f32 {
  let z = select(1.0, s[c], u.scaled == 1u) * sum + b[c];
  let bits = bitcast<u32>(z);
  let isLow = (u.activation != 0u) & (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  return select(select(z, 6.0, isHigh), 0.0, isLow);
}
