// Response normalisation within each map, backward: cuda-convnet's form of paper §3.3, over a window of pixels.
//
//   dx = dy * s^-beta - 2 * alpha * beta * x * sum of dy * x * s^-(beta+1) over the pixels within `reach` rows and
//        columns, inside the image
//
// x, s, dy, dx: C × H × W × N. One thread computes one element. s comes from the forward pass.

struct Uniforms {
  images: u32,
  c: u32,
  h: u32,
  w: u32,
  reach: u32,
  k: f32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> s: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn map_norm_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.h * u.w * u.images) {
    return;
  }
  let n = at % u.images;
  let column = at / u.images % u.w;
  let row = at / u.images / u.w % u.h;
  let c = at / u.images / u.w / u.h;
  let firstColumn = max(column, u.reach) - u.reach;
  let lastRow = min(row + u.reach, u.h - 1u);
  let lastColumn = min(column + u.reach, u.w - 1u);
  var sum = 0.0;
  for (var i = max(row, u.reach) - u.reach; i <= lastRow; i++) {
    for (var j = firstColumn; j <= lastColumn; j++) {
      let near = ((c * u.h + i) * u.w + j) * u.images + n;
      sum += dy[near] * x[near] * power(s[near], -(u.beta + 1.0));
    }
  }
  dx[at] = dy[at] * power(s[at], -u.beta) - 2.0 * u.alpha * u.beta * x[at] * sum;
}

// s^exponent. NaN stays NaN; some drivers' pow() returns 0 for it.
fn power(s: f32, exponent: f32) -> f32 {
  return select(pow(s, exponent), s, is_nan(s));
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
