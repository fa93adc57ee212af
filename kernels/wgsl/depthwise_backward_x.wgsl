// Depthwise convolution, gradient with respect to its input.
//
//   dx[c, row, column, n] = sum over i, j of weights[c, i, j] * dy[c, p, q, n]
//
// where p * stride + i - pad = row and q * stride + j - pad = column. weights: C × KH × KW, dy: C × OH × OW × N,
// dx: C × H × W × N. One thread computes one element of dx.

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
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn depthwise_backward_x(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.h * u.w * u.images) {
    return;
  }
  let n = at % u.images;
  let right = at / u.images % u.w + u.pad;
  let bottom = at / u.images / u.w % u.h + u.pad;
  let c = at / u.images / u.w / u.h;
  let endI = min(u.kh, bottom + 1u);
  let endJ = min(u.kw, right + 1u);
  var sum = 0.0;
  // The taps that lead from here to a position of the window.
  for (var i = bottom % u.stride; i < endI; i += u.stride) {
    let p = (bottom - i) / u.stride;
    if (p >= u.oh) {
      continue;
    }
    for (var j = right % u.stride; j < endJ; j += u.stride) {
      let q = (right - j) / u.stride;
      if (q < u.ow) {
        sum += weights[(c * u.kh + i) * u.kw + j] * dy[((c * u.oh + p) * u.ow + q) * u.images + n];
      }
    }
  }
  dx[at] = sum;
}
