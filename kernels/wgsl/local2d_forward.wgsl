// Locally connected layer, forward: a convolution whose filters are not shared between positions.
//
//   y[o, p, q, n] = b[o, p, q] + sum over c, i, j of
//                   w[o, p, q, c, i, j] * x[c, p * stride + i - pad, q * stride + j - pad, n]
//
// x: C × H × W × N, zero outside the image; w: O × OH × OW × C × KH × KW; b: O × OH × OW; y: O × OH × OW × N.
// One thread computes one element of y.

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
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn local2d_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.o * u.oh * u.ow * u.images) {
    return;
  }
  let n = at % u.images;
  let out = at / u.images;
  let q = out % u.ow;
  let p = out / u.ow % u.oh;
  var sum = b[out];
  for (var c = 0u; c < u.c; c++) {
    for (var i = 0u; i < u.kh; i++) {
      // Above the image this wraps to a huge number, which isn't below h either.
      let row = p * u.stride + i - u.pad;
      if (row >= u.h) {
        continue;
      }
      for (var j = 0u; j < u.kw; j++) {
        let column = q * u.stride + j - u.pad;
        if (column < u.w) {
          sum += w[((out * u.c + c) * u.kh + i) * u.kw + j] * x[((c * u.h + row) * u.w + column) * u.images + n];
        }
      }
    }
  }
  y[at] = sum;
}
