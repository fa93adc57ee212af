// Rung 3 of the convolution: tiles in registers.
//
//   y[o, p, q, n] = b[o] + sum over c, i, j of
//                   w[o, c, i, j] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n]
//
// where g is the group of filter o. x: C × H × W × N, zero outside the image; w: O × C/G × KH × KW; b: O;
// y: O × OH × OW × N.
// A matrix product for each group (z): rows are its filters o, columns the outputs (p, q, n), terms the taps (c, i, j);
// the matrix of columns is never stored. A workgroup of 256 threads computes a tile of 64 × 64 results.
//
// New: a thread computes 4 × 4 results, rows ty + 16m and columns tx + 16m, in registers. For each term it reads two
// vec4s from workgroup memory for 16 multiply-adds, where rung 2 reads two numbers for one. A vec4 there holds a
// "quartet", 4 rows (or columns) that are 16 apart, so that neighbouring threads load and store neighbouring addresses.
// The larger tile also needs only a quarter of the traffic from memory.
//
// The next rungs are in kernels/wgsl: conv2d_forward.wgsl, with 8 × 8 results per thread and a tap's digits counted up
// instead of divided out, and conv2d_forward_128x128.wgsl, which loads vec4s ahead of time.

// Terms held in workgroup memory, and the distance between them in vec4s: 16, plus one to spread the terms over the
// memory banks.
const TERMS = 16u;
const PITCH = 17u;
// The rows (or columns) of a quartet.
const APART = vec4u(0u, 16u, 32u, 48u);

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

var<workgroup> wTile: array<vec4f, TERMS * PITCH>;
var<workgroup> xTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(256)
fn conv_3_registers(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) tile: vec3u,
  @builtin(num_workgroups) tiles: vec3u,
) {
  let group = tile.z % u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let taps = groupMaps * u.kh * u.kw;
  let columns = u.oh * u.ow * u.images;
  let firstFilter = group * groupFilters;
  let firstRow = tile.y * 64u;
  // Columns that don't fit into the grid's x continue at z + G.
  let firstColumn = (tile.x + tile.z / u.groups * tiles.x) * 64u;
  let tx = thread % 16u;
  let ty = thread / 16u;

  // This thread loads one tap of a quartet of rows of w, and one tap of a quartet of columns of x.
  // Beyond the last row or column, the last is loaded, and the result is not stored; terms beyond the last are zero.
  let rows = (firstFilter + min(firstRow + ty + APART, vec4u(groupFilters - 1u))) * taps;
  let output = min(firstColumn + tx + APART, vec4u(columns - 1u));
  let n = output % u.images;
  let top = output / u.images / u.ow * u.stride - u.pad;
  let left = output / u.images % u.ow * u.stride - u.pad;
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var k = 0u; k < taps; k += TERMS) {
    var ofW = vec4f();
    if (k + tx < taps) {
      let at = rows + k + tx;
      ofW = vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
    }
    let tap = k + ty;
    let map = group * groupMaps + tap / (u.kh * u.kw);
    // Below zero, an unsigned row or column wraps around to a number that is too large.
    let row = top + tap / u.kw % u.kh;
    let column = left + tap % u.kw;
    let inside = (row < vec4u(u.h)) & (column < vec4u(u.w)) & vec4<bool>(tap < taps);
    let at = select(vec4u(), ((map * u.h + row) * u.w + column) * u.images + n, inside);
    let ofX = select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
    workgroupBarrier();
    wTile[tx * PITCH + ty] = ofW;
    xTile[ty * PITCH + tx] = ofX;
    workgroupBarrier();
    for (var t = 0u; t < TERMS; t++) {
      let weights = wTile[t * PITCH + ty];
      let pixels = xTile[t * PITCH + tx];
      sums0 += weights.x * pixels;
      sums1 += weights.y * pixels;
      sums2 += weights.z * pixels;
      sums3 += weights.w * pixels;
    }
  }
  store(group, firstRow + ty, firstColumn + tx, sums0);
  store(group, firstRow + ty + 16u, firstColumn + tx, sums1);
  store(group, firstRow + ty + 32u, firstColumn + tx, sums2);
  store(group, firstRow + ty + 48u, firstColumn + tx, sums3);
}

fn store(group: u32, row: u32, column: u32, values: vec4f) {
  let rows = u.o / u.groups;
  let columns = u.oh * u.ow * u.images;
  if (row >= rows) {
    return;
  }
  let o = group * rows + row;
  let at = o * columns + column;
  let biased = values + b[o];
  if (column < columns) {
    y[at] = biased.x;
  }
  if (column + 16u < columns) {
    y[at + 16u] = biased.y;
  }
  if (column + 32u < columns) {
    y[at + 32u] = biased.z;
  }
  if (column + 48u < columns) {
    y[at + 48u] = biased.w;
  }
}
