// Average pooling with windows that may overlap, forward.
//
//   y[c, p, q, n] = sum of x over the window / number of its pixels inside the image
//
// The window's first pixel is (p * stride - pad, q * stride - pad). x: C × H × W × N, y: C × OH × OW × N. One thread computes one
// element of y.

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
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn average_pool_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.oh * u.ow * u.images) {
    return;
  }
  let n = at % u.images;
  let q = at / u.images % u.ow;
  let p = at / u.images / u.ow % u.oh;
  let c = at / u.images / u.ow / u.oh;
  let firstRow = max(p * u.stride, u.pad) - u.pad;
  let firstColumn = max(q * u.stride, u.pad) - u.pad;
  let endRow = min(p * u.stride + u.window - u.pad, u.h);
  let endColumn = min(q * u.stride + u.window - u.pad, u.w);
  var sum = 0.0;
  for (var row = firstRow; row < endRow; row++) {
    for (var column = firstColumn; column < endColumn; column++) {
      sum += x[((c * u.h + row) * u.w + column) * u.images + n];
    }
  }
  y[at] = sum / f32((endRow - firstRow) * (endColumn - firstColumn));
}
