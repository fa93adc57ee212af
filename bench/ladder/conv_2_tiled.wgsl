// Rung 2 of the convolution: a matrix product in workgroup memory ("implicit GEMM").
//
//   y[o, p, q, n] = b[o] + sum over c, i, j of
//                   w[o, c, i, j] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n]
//
// where g is the group of filter o. x: C × H × W × N, zero outside the image; w: O × C/G × KH × KW; b: O;
// y: O × OH × OW × N.
//
// New: computed as a matrix product for each group (z): rows are its filters o, columns the outputs (p, q, n), terms the
// taps (c, i, j). The matrix x[tap, output] would be KH · KW times as large as x and is never stored: tiles of it are
// gathered straight into workgroup memory. A workgroup computes 16 × 16 results, one per thread; for 16 terms at a time,
// each thread loads one weight and one pixel, each of which serves 16 threads. That is a sixteenth of rung 1's traffic
// and address arithmetic.

const TILE = 16u;

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

var<workgroup> wTile: array<f32, TILE * TILE>;
var<workgroup> xTile: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn conv_2_tiled(
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(workgroup_id) tile: vec3u,
  @builtin(num_workgroups) tiles: vec3u,
) {
  let group = tile.z % u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let taps = groupMaps * u.kh * u.kw;
  let columns = u.oh * u.ow * u.images;
  let row = tile.y * TILE + thread.y;
  // Columns that don't fit into the grid's x continue at z + G.
  let column = (tile.x + tile.z / u.groups * tiles.x) * TILE + thread.x;
  let o = group * groupFilters + row;
  // The window of this thread's output begins here, possibly outside the image.
  let n = column % u.images;
  let top = column / u.images / u.ow * u.stride - u.pad;
  let left = column / u.images % u.ow * u.stride - u.pad;
  let mine = thread.y * TILE + thread.x;
  var sum = 0.0;
  for (var k = 0u; k < taps; k += TILE) {
    var weight = 0.0;
    if (row < groupFilters && k + thread.x < taps) {
      weight = w[o * taps + k + thread.x];
    }
    let tap = k + thread.y;
    let map = group * groupMaps + tap / (u.kh * u.kw);
    // Below zero, an unsigned row or column wraps around to a number that is too large.
    let pixelRow = top + tap / u.kw % u.kh;
    let pixelColumn = left + tap % u.kw;
    var pixel = 0.0;
    if (tap < taps && column < columns && pixelRow < u.h && pixelColumn < u.w) {
      pixel = x[((map * u.h + pixelRow) * u.w + pixelColumn) * u.images + n];
    }
    workgroupBarrier();
    wTile[mine] = weight;
    xTile[mine] = pixel;
    workgroupBarrier();
    for (var t = 0u; t < TILE; t++) {
      sum += wTile[thread.y * TILE + t] * xTile[t * TILE + thread.x];
    }
  }
  if (row < groupFilters && column < columns) {
    y[o * columns + column] = b[o] + sum;
  }
}
