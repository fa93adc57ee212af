// Convolution with stride, padding and groups, forward (paper §3.5).
//
//   y[o, p, q, n] = f(b[o] + s[o] * sum over c, i, j of
//                   w[o, c, i, j] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n])
//
// where g is the group of filter o, f the activation function; s is 1 unless `scaled`. x: C × H × W × N, zero outside the
// image; w: O × C/G × KH × KW; s, b: O; y: O × OH × OW × N. A matrix product for each group (z): rows are its filters o, columns the outputs (p, q, n), terms
// the taps (c, i, j); the matrix of columns is never stored.
//
// A workgroup computes a tile of 64 × 64 results, a thread 8 × 8 of them in registers: rows ty + 8m, columns tx + 8m.
// Workgroup memory holds 16 terms at a time. There a vec4 is a "quartet" of 4 rows (or columns) that are 16 apart, so
// that neighbouring threads load and store neighbouring addresses.

// Terms in workgroup memory, and the distance between them in vec4s: 16, and one to spread them over the memory banks.
const TERMS = 16u;
const PITCH = 17u;
// The rows (or columns) in a quartet.
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
  scaled: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> s: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(64)
fn conv2d_forward(
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
  // A row of column tiles that is too long for x continues at z + G.
  let firstColumn = (tile.x + tile.z / u.groups * tiles.x) * 64u;

  // Of x, this thread loads four columns, whose windows begin at (top, left), which may be outside the image, ...
  let quartet = thread % 16u;
  let output = min(firstColumn + quartet + APART, vec4u(columns - 1u));
  let top = vec4i(output / u.images / u.ow * u.stride) - i32(u.pad);
  let left = vec4i(output / u.images % u.ow * u.stride) - i32(u.pad);
  let corner = (top * i32(u.w) + left) * i32(u.images) + vec4i(output % u.images);
  // ... at four consecutive taps of every sixteen.
  let firstTap = thread / 16u * 4u;
  var tap = digits(firstTap);
  let nextTap = digits(1u);
  let nextSlice = digits(TERMS - 4u);
  // Of w, it loads one tap of four quartets of rows.
  let term = thread % TERMS;
  let firstQuartet = thread / TERMS;
  // The results it computes.
  let tx = thread % 8u;
  let ty = thread / 8u;
  var sums: array<vec4f, 16>;
  for (var k = 0u; k < taps; k += TERMS) {
    workgroupBarrier();
    for (var s = 0u; s < 4u; s++) {
      let i = firstQuartet + s * 4u;
      // Rows and columns beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
      let at = (firstFilter + min(firstRow + i + APART, vec4u(groupFilters - 1u))) * taps + k + term;
      var ofW = vec4f();
      if (k + term < taps) {
        ofW = vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
      }
      rowTile[term * PITCH + i] = ofW;
    }
    for (var s = 0u; s < 4u; s++) {
      let t = firstTap + s;
      let row = top + i32(tap.y);
      let column = left + i32(tap.z);
      let at = corner + i32((((group * groupMaps + tap.x) * u.h + tap.y) * u.w + tap.z) * u.images);
      // Negative rows and columns wrap to numbers that are too large.
      let inside = (vec4u(row) < vec4u(u.h)) & (vec4u(column) < vec4u(u.w)) & vec4<bool>(k + t < taps);
      let safe = select(vec4i(), at, inside);
      let ofX = vec4f(x[safe.x], x[safe.y], x[safe.z], x[safe.w]);
      columnTile[t * PITCH + quartet] = select(vec4f(), ofX, inside);
      tap = add_digits(tap, nextTap);
    }
    tap = add_digits(tap, nextSlice);
    workgroupBarrier();
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = rowTile[t * PITCH + ty];
      let rows1 = rowTile[t * PITCH + ty + 8u];
      let columns0 = columnTile[t * PITCH + tx];
      let columns1 = columnTile[t * PITCH + tx + 8u];
      sums[0] += rows0.x * columns0;
      sums[1] += rows0.x * columns1;
      sums[2] += rows1.x * columns0;
      sums[3] += rows1.x * columns1;
      sums[4] += rows0.y * columns0;
      sums[5] += rows0.y * columns1;
      sums[6] += rows1.y * columns0;
      sums[7] += rows1.y * columns1;
      sums[8] += rows0.z * columns0;
      sums[9] += rows0.z * columns1;
      sums[10] += rows1.z * columns0;
      sums[11] += rows1.z * columns1;
      sums[12] += rows0.w * columns0;
      sums[13] += rows0.w * columns1;
      sums[14] += rows1.w * columns0;
      sums[15] += rows1.w * columns1;
    }
  }
  // Here and above, `sums` is only indexed by constants, so that it stays in registers.
  let row = firstRow + ty;
  store(group, row, firstColumn + tx, sums[0], sums[1]);
  store(group, row + 8u, firstColumn + tx, sums[2], sums[3]);
  store(group, row + 16u, firstColumn + tx, sums[4], sums[5]);
  store(group, row + 24u, firstColumn + tx, sums[6], sums[7]);
  store(group, row + 32u, firstColumn + tx, sums[8], sums[9]);
  store(group, row + 40u, firstColumn + tx, sums[10], sums[11]);
  store(group, row + 48u, firstColumn + tx, sums[12], sums[13]);
  store(group, row + 56u, firstColumn + tx, sums[14], sums[15]);
}

// A tap's index as (c, i, j), and the sum of two.
fn digits(tap: u32) -> vec3u {
  return vec3u(tap / (u.kh * u.kw), tap / u.kw % u.kh, tap % u.kw);
}

fn add_digits(a: vec3u, b: vec3u) -> vec3u {
  var sum = a + b;
  if (sum.z >= u.kw) {
    sum.z -= u.kw;
    sum.y++;
  }
  if (sum.y >= u.kh) {
    sum.y -= u.kh;
    sum.x++;
  }
  return sum;
}

fn store(group: u32, row: u32, column: u32, even: vec4f, odd: vec4f) {
  store_quartet(group, row, column, even);
  store_quartet(group, row, column + 8u, odd);
}

fn store_quartet(group: u32, row: u32, column: u32, values: vec4f) {
  let rows = u.o / u.groups;
  let columns = u.oh * u.ow * u.images;
  if (row >= rows) {
    return;
  }
  let o = group * rows + row;
  let at = o * columns + column;
  let results = finished(values, o);
  if (column < columns) {
    y[at] = results.x;
  }
  if (column + 16u < columns) {
    y[at + 16u] = results.y;
  }
  if (column + 32u < columns) {
    y[at + 32u] = results.z;
  }
  if (column + 48u < columns) {
    y[at + 48u] = results.w;
  }
}

// What is stored: the sums of filter o times its factor, if there is one, plus its bias, and activated: 1 by ReLU, 2 by
// ReLU6. By the bits, so that NaN stays NaN: below 0 they are from 0x80000000 on, from 6 to infinity 0x40c00000 to
// 0x7f800000.
fn finished(sum: vec4f, o: u32) -> vec4f {
  let z = select(1.0, s[o], u.scaled == 1u) * sum + b[o];
  let bits = bitcast<vec4u>(z);
  let isLow = vec4<bool>(u.activation != 0u) & (bits - vec4u(0x80000000u) <= vec4u(0x7f800000u));
  let isHigh = vec4<bool>(u.activation == 2u) & (bits - vec4u(0x40c00000u) <= vec4u(0x3ec00000u));
  return select(select(z, vec4f(6.0), isHigh), vec4f(), isLow);
}
