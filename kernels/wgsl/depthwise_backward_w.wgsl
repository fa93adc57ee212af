// Depthwise convolution, gradient with respect to its weights.
//
//   dw[c, i, j] = sum over p, q, n of dy[c, p, q, n] * x[c, p * stride + i - pad, q * stride + j - pad, n]
//
// x: C × H × W × N, zero outside the image; dy: C × OH × OW × N; dw: C × KH × KW. With `splits` above 1 the terms
// (p, q, n) are cut into so many runs, and dw holds that many such arrays, whose sum is the result.
//
// One workgroup computes four neighbours j, j + 1, … in a row of a window: each thread sums every 256th term, and then
// the sums are added in pairs. The order of additions is always the same, so that results repeat bit for bit.

const THREADS = 256u;
// Splits consist of whole slices of so many terms.
const SLICE = 16u;
const NEIGHBOURS = vec4u(0u, 1u, 2u, 3u);

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
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

var<workgroup> sums: array<vec4f, THREADS>;

@compute @workgroup_size(THREADS)
fn depthwise_backward_w(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let fours = (u.kw + 3u) / 4u;
  let item = id.x + id.y * groups.x;
  if (item >= u.splits * u.c * u.kh * fours) {
    return;
  }
  let j = item % fours * 4u;
  // Row i of the window of map c, in this split.
  let windowRow = item / fours;
  let i = windowRow % u.kh;
  let c = windowRow / u.kh % u.c;
  let split = windowRow / u.kh / u.c;
  let terms = u.oh * u.ow * u.images;
  let perSplit = (terms + SLICE * u.splits - 1u) / (SLICE * u.splits) * SLICE;
  let first = split * perSplit;
  let end = min(first + perSplit, terms);

  let isTap = j + NEIGHBOURS < vec4u(u.kw);
  var output = digits(first + thread);
  let next = digits(THREADS);
  var four = vec4f();
  for (var k = first + thread; k < end; k += THREADS) {
    // Outside the image, rows and columns are too large: below zero they wrap.
    let row = output.x * u.stride + i - u.pad;
    let column = output.y * u.stride + j - u.pad + NEIGHBOURS;
    let isInside = isTap & (column < vec4u(u.w)) & vec4<bool>(row < u.h);
    let gradient = dy[c * terms + k];
    let at = ((c * u.h + row) * u.w + column) * u.images + output.z;
    if (isInside.x) {
      four.x += gradient * x[at.x];
    }
    if (isInside.y) {
      four.y += gradient * x[at.y];
    }
    if (isInside.z) {
      four.z += gradient * x[at.z];
    }
    if (isInside.w) {
      four.w += gradient * x[at.w];
    }
    output = add_digits(output, next);
  }
  sums[thread] = four;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  workgroupBarrier();
  if (thread < 4u && j + thread < u.kw) {
    dw[windowRow * u.kw + j + thread] = sums[0][thread];
  }
}

// An output's number as (p, q, n), and the sum of two such.
fn digits(output: u32) -> vec3u {
  return vec3u(output / (u.ow * u.images), output / u.images % u.ow, output % u.images);
}

fn add_digits(a: vec3u, b: vec3u) -> vec3u {
  var sum = a + b;
  if (sum.z >= u.images) {
    sum.z -= u.images;
    sum.y++;
  }
  if (sum.y >= u.ow) {
    sum.y -= u.ow;
    sum.x++;
  }
  return sum;
}
