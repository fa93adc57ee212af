// Locally connected layer, gradient with respect to its input.
//
//   dx[c, row, column, n] = sum over o, i, j of w[o, p, q, c, i, j] * dy[o, p, q, n]
//
// where p * stride + i - pad = row and q * stride + j - pad = column. w: O × OH × OW × C × KH × KW;
// dy: O × OH × OW × N; dx: C × H × W × N. One thread computes one element of dx.

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
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn local2d_backward_x(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.h * u.w * u.images) {
    return;
  }
  let n = at % u.images;
  let column = at / u.images % u.w + u.pad;
  let row = at / u.images / u.w % u.h + u.pad;
  let c = at / u.images / u.w / u.h;
  // Of the filters' rows i and columns j, every stride-th one meets this pixel at some position.
  var sum = 0.0;
  for (var i = row % u.stride; i < min(u.kh, row + 1u); i += u.stride) {
    let p = (row - i) / u.stride;
    if (p >= u.oh) {
      continue;
    }
    for (var j = column % u.stride; j < min(u.kw, column + 1u); j += u.stride) {
      let q = (column - j) / u.stride;
      if (q >= u.ow) {
        continue;
      }
      for (var o = 0u; o < u.o; o++) {
        let out = (o * u.oh + p) * u.ow + q;
        sum += w[((out * u.c + c) * u.kh + i) * u.kw + j] * dy[out * u.images + n];
      }
    }
  }
  dx[at] = sum;
}
