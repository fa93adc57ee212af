// Average pooling, backward.
//
//   dx[c, row, column, n] = sum over the windows (p, q) that cover this pixel of
//                           dy[c, p, q, n] / number of the window's pixels inside the image
//
// dy: C × OH × OW × N, dx: C × H × W × N. One thread computes one element of dx.

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
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn average_pool_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.c * u.h * u.w * u.images) {
    return;
  }
  let n = at % u.images;
  let column = at / u.images % u.w;
  let row = at / u.images / u.w % u.h;
  let c = at / u.images / u.w / u.h;
  let endRow = min((row + u.pad) / u.stride + 1u, u.oh);
  let endColumn = min((column + u.pad) / u.stride + 1u, u.ow);
  var sum = 0.0;
  for (var p = first_window(row + u.pad); p < endRow; p++) {
    let insideRows = inside(p, u.h);
    for (var q = first_window(column + u.pad); q < endColumn; q++) {
      sum += dy[((c * u.oh + p) * u.ow + q) * u.images + n] / f32(insideRows * inside(q, u.w));
    }
  }
  dx[at] = sum;
}

// The first window along one side that covers a pixel, counted from the padding's first, or one beyond the last.
fn first_window(pixel: u32) -> u32 {
  if (pixel < u.window) {
    return 0u;
  }
  return (pixel - u.window) / u.stride + 1u;
}

// How many of a window's pixels along one side are inside the image.
fn inside(window: u32, side: u32) -> u32 {
  let start = window * u.stride;
  return min(start + u.window - u.pad, side) - (max(start, u.pad) - u.pad);
}
