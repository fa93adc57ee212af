// Locally connected layer, gradient with respect to its weights.
//
//   dw[o, p, q, c, i, j] = sum over n of dy[o, p, q, n] * x[c, p * stride + i - pad, q * stride + j - pad, n]
//
// x: C × H × W × N, zero outside the image; dy: O × OH × OW × N; dw: O × OH × OW × C × KH × KW. One thread computes one
// element of dw.

struct Uniforms {
  images: u32,
  c: u32,
  h: u32,
  w: u32,
  o: u32,
  oh: u32,
  ow: u32,
  kh: u32,
  kw: u32,
  stride: u32,
  pad: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn local2d_backward_w(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  let window = u.kh * u.kw;
  if (at >= u.o * u.oh * u.ow * u.c * window) {
    return;
  }
  let j = at % u.kw;
  let i = at / u.kw % u.kh;
  let c = at / window % u.c;
  let out = at / window / u.c;
  // Outside the image these are too large, since negative numbers wrap.
  let row = out / u.ow % u.oh * u.stride + i - u.pad;
  let column = out % u.ow * u.stride + j - u.pad;
  var sum = 0.0;
  if (row < u.h && column < u.w) {
    let pixel = (c * u.h + row) * u.w + column;
    for (var n = 0u; n < u.images; n++) {
      sum += dy[out * u.images + n] * x[pixel * u.images + n];
    }
  }
  dw[at] = sum;
}
