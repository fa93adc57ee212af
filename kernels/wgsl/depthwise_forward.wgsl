// Depthwise convolution, forward: each map has a filter of its own.
//
//   y[c, p, q, n] = b[c] + sum over i, j of weights[c, i, j] * x[c, p * stride + i - pad, q * stride + j - pad, n]
//
// x: C × H × W × N, zero outside the image; weights: C × KH × KW; b: C; y: C × OH × OW × N. One thread computes one
// element of y.

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
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
  var sum = b[c];
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
  y[at] = sum;
}
