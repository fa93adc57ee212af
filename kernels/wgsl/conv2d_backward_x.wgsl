// Convolution with stride, padding and groups, gradient with respect to its input (paper §3.5).
//
//   dx[g * C/G + c, row, column, n] = sum over o in group g, i, j of w[o, c, i, j] * dy[o, p, q, n]
//
// where p * stride + i - pad = row and q * stride + j - pad = column. w: O × C/G × KH × KW; dy: O × OH × OW × N; dx:
// C × H × W × N. A matrix product for each group (z): rows are its maps c, columns the pixels (row, column, n), terms
// the taps (o, i, j); the matrix of columns is never stored.
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
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

var<workgroup> rowTile: array<vec4f, TERMS * PITCH>;
var<workgroup> columnTile: array<vec4f, TERMS * PITCH>;

@compute @workgroup_size(64)
fn conv2d_backward_x(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) tile: vec3u,
  @builtin(num_workgroups) tiles: vec3u,
) {
  let group = tile.z % u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let window = u.kh * u.kw;
  let taps = groupFilters * window;
  let columns = u.h * u.w * u.images;
  let firstFilter = group * groupFilters;
  let firstRow = tile.y * 64u;
  // A row of column tiles that is too long for x continues at z + G.
  let firstColumn = (tile.x + tile.z / u.groups * tiles.x) * 64u;

  // Of dy, this thread loads four columns, ...
  let quartet = thread % 16u;
  let pixel = min(firstColumn + quartet + APART, vec4u(columns - 1u));
  let n = vec4i(pixel % u.images);
  let bottom = pixel / u.images / u.w + u.pad;
  let right = pixel / u.images % u.w + u.pad;
  // (bottom - i) / stride must be a whole number: i and bottom have the same remainder, and p is the difference of
  // quotients.
  let p0 = vec4i(bottom / u.stride);
  let q0 = vec4i(right / u.stride);
  let bottomPhase = bottom % u.stride;
  let rightPhase = right % u.stride;
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
    let ofTerm = (firstFilter + (k + term) / window) * groupMaps * window + (k + term) % window;
    for (var s = 0u; s < 4u; s++) {
      let i = firstQuartet + s * 4u;
      // Rows and columns beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
      let at = ofTerm + min(firstRow + i + APART, vec4u(groupMaps - 1u)) * window;
      var ofW = vec4f();
      if (k + term < taps) {
        ofW = vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
      }
      rowTile[term * PITCH + i] = ofW;
    }
    for (var s = 0u; s < 4u; s++) {
      let t = firstTap + s;
      var shift = tap.yz;
      var phase = vec2u();
      if (u.stride > 1u) {
        shift = tap.yz / u.stride;
        phase = tap.yz % u.stride;
      }
      let p = p0 - i32(shift.x);
      let q = q0 - i32(shift.y);
      let at = ((i32((firstFilter + tap.x) * u.oh) + p) * i32(u.ow) + q) * i32(u.images) + n;
      // Negative p and q wrap to numbers that are too large.
      let inside = (vec4u(p) < vec4u(u.oh)) & (vec4u(q) < vec4u(u.ow)) & (bottomPhase == vec4u(phase.x)) &
        (rightPhase == vec4u(phase.y)) & vec4<bool>(k + t < taps);
      let safe = select(vec4i(), at, inside);
      let ofDy = vec4f(dy[safe.x], dy[safe.y], dy[safe.z], dy[safe.w]);
      columnTile[t * PITCH + quartet] = select(vec4f(), ofDy, inside);
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

// A tap's index as (o, i, j), and the sum of two.
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
  let rows = u.c / u.groups;
  let columns = u.h * u.w * u.images;
  if (row >= rows) {
    return;
  }
  let at = (group * rows + row) * columns + column;
  if (column < columns) {
    dx[at] = values.x;
  }
  if (column + 16u < columns) {
    dx[at + 16u] = values.y;
  }
  if (column + 32u < columns) {
    dx[at + 32u] = values.z;
  }
  if (column + 48u < columns) {
    dx[at + 48u] = values.w;
  }
}
