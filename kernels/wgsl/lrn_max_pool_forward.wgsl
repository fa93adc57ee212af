// Local response normalisation across 5 maps and max pooling of its result with windows of 3 × 3, forward (paper §3.3 and
// §3.4), without storing what is between them.
//
//   z_i = x_i * (k + alpha * sum over j of x_j^2)^-beta,  j within 2 maps of i, inside i's group of maps
//   y[c, p, q, n] = z at the first largest pixel of the window, in row-major order; at the last that is NaN, if one is
//
// The window's first pixel is (p * stride - pad, q * stride - pad); those outside the image don't count. x: C × H × W ×
// N; y and argmax, the largest pixel as row * W + column: C × OH × OW × N. One thread computes up to MAPS maps of a group
// (z) at one position (p, q) of one image. It slides along the maps with the windows of five of them in registers.

// Maps for each thread: few, so that a small plane has enough threads.
const MAPS = 64u;

const NONE = 0xffffffffu;

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
  groupMaps: u32,
  reach: u32,
  k: f32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

// The pixels of a window in one map, by rows.
struct Pixels {
  top: vec3f,
  middle: vec3f,
  bottom: vec3f,
}

// The largest so far.
struct Best {
  value: f32,
  pixel: u32,
  isNan: bool,
}

@compute @workgroup_size(64)
fn lrn_max_pool_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  let positions = u.oh * u.ow * u.images;
  if (at >= positions) {
    return;
  }
  // Of the window's first pixel, and the image. Rows and columns before the first wrap to numbers that are too large.
  let place = vec3u(at / u.images / u.ow * u.stride - u.pad, at / u.images % u.ow * u.stride - u.pad, at % u.images);
  let cuts = (u.groupMaps + MAPS - 1u) / MAPS;
  let group = id.z / cuts * u.groupMaps;
  let first = group + id.z % cuts * MAPS;
  let end = min(first + MAPS, group + u.groupMaps);
  var before2 = pixels(first - 2u, group, place);
  var before1 = pixels(first - 1u, group, place);
  var own = pixels(first, group, place);
  var after1 = pixels(first + 1u, group, place);
  for (var i = first; i < end; i++) {
    let after2 = pixels(i + 2u, group, place);
    let top = normalised(before2.top, before1.top, own.top, after1.top, after2.top);
    let middle = normalised(before2.middle, before1.middle, own.middle, after1.middle, after2.middle);
    let bottom = normalised(before2.bottom, before1.bottom, own.bottom, after1.bottom, after2.bottom);
    var best = Best(0.0, NONE, false);
    best = best_of_row(best, top, place.x, place.y);
    best = best_of_row(best, middle, place.x + 1u, place.y);
    best = best_of_row(best, bottom, place.x + 2u, place.y);
    y[i * positions + at] = best.value;
    argmax[i * positions + at] = best.pixel;
    before2 = before1;
    before1 = own;
    own = after1;
    after1 = after2;
  }
}

// The window's pixels in map i; 0 outside the image, and outside the group that begins at map `group`.
fn pixels(i: u32, group: u32, place: vec3u) -> Pixels {
  // Maps before the first wrap to numbers that are too large.
  if (i - group >= u.groupMaps) {
    return Pixels();
  }
  return Pixels(
    pixels_of_row(i, place.x, place.y, place.z),
    pixels_of_row(i, place.x + 1u, place.y, place.z),
    pixels_of_row(i, place.x + 2u, place.y, place.z),
  );
}

fn pixels_of_row(i: u32, row: u32, column: u32, n: u32) -> vec3f {
  return vec3f(pixel(i, row, column, n), pixel(i, row, column + 1u, n), pixel(i, row, column + 2u, n));
}

fn pixel(i: u32, row: u32, column: u32, n: u32) -> f32 {
  if (row >= u.h || column >= u.w) {
    return 0.0;
  }
  return x[((i * u.h + row) * u.w + column) * u.images + n];
}

// z of three pixels, by x in the maps around theirs, in the order of lrn_forward.wgsl.
fn normalised(before2: vec3f, before1: vec3f, own: vec3f, after1: vec3f, after2: vec3f) -> vec3f {
  var sum = vec3f();
  sum += before2 * before2;
  sum += before1 * before1;
  sum += own * own;
  sum += after1 * after1;
  sum += after2 * after2;
  let s = u.k + u.alpha * sum;
  return own * vec3f(power(s.x, -u.beta), power(s.y, -u.beta), power(s.z, -u.beta));
}

fn best_of_row(best: Best, values: vec3f, row: u32, column: u32) -> Best {
  return better(better(better(best, values.x, row, column), values.y, row, column + 1u), values.z, row, column + 2u);
}

// The larger of the best so far and a pixel, if that is inside the image, in the manner of max_pool_forward.wgsl.
fn better(best: Best, value: f32, row: u32, column: u32) -> Best {
  if (row >= u.h || column >= u.w) {
    return best;
  }
  let isNan = is_nan(value);
  let wins = best.pixel == NONE || select(value > best.value, isNan, best.isNan || isNan);
  return Best(select(best.value, value, wins), select(best.pixel, row * u.w + column, wins), best.isNan || isNan);
}

// s^exponent. NaN stays NaN; some drivers' pow() returns 0 for it.
fn power(s: f32, exponent: f32) -> f32 {
  return select(pow(s, exponent), s, is_nan(s));
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
