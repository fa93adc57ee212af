// Rung 1 of the convolution: the formula as it stands.
//
//   y[o, p, q, n] = b[o] + sum over c, i, j of
//                   w[o, c, i, j] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n]
//
// where g is the group of filter o. x: C × H × W × N, zero outside the image; w: O × C/G × KH × KW; b: O;
// y: O × OH × OW × N. A thread computes one result; neighbours compute neighbouring images n, so that they read
// neighbouring numbers of x and the same weight.
//
// Each multiply-add needs two loads from memory, and some address arithmetic.

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
  groups: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn conv_1_naive(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) tiles: vec3u) {
  let at = id.x + id.y * tiles.x * 256u;
  let plane = u.oh * u.ow * u.images;
  if (at >= u.o * plane) {
    return;
  }
  let n = at % u.images;
  let q = at / u.images % u.ow;
  let p = at / u.images / u.ow % u.oh;
  let o = at / plane;
  let groupMaps = u.c / u.groups;
  let firstMap = o / (u.o / u.groups) * groupMaps;
  var sum = 0.0;
  for (var c = 0u; c < groupMaps; c++) {
    for (var i = 0u; i < u.kh; i++) {
      // Above the image, the unsigned row wraps around to a number that is too large.
      let row = p * u.stride + i - u.pad;
      if (row >= u.h) {
        continue;
      }
      for (var j = 0u; j < u.kw; j++) {
        let column = q * u.stride + j - u.pad;
        if (column < u.w) {
          let weight = w[((o * groupMaps + c) * u.kh + i) * u.kw + j];
          sum += weight * x[(((firstMap + c) * u.h + row) * u.w + column) * u.images + n];
        }
      }
    }
  }
  y[at] = b[o] + sum;
}
