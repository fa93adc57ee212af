// Convolution with stride, padding and groups, gradient with respect to its weights (paper §3.5).
//
//   dw[o, c, i, j] = sum over p, q, n of dy[o, p, q, n] * x[g * C/G + c, p * stride + i - pad, q * stride + j - pad, n]
//
// where g is the group of filter o. x: C × H × W × N, zero outside the image; dy: O × OH × OW × N; dw:
// O × C/G × KH × KW. A matrix product for each group (z): rows are its filters o, columns the taps (c, i, j), terms the
// outputs (p, q, n); the matrix of columns is never stored. The terms are cut into `splits` runs (z again); with more
// than 1, dw holds one array for each, and their sum is the result.
//
// For large GPUs, where N is a multiple of 4: a workgroup of 256 threads computes a tile of ROWS × 128 results, a
// thread 8 × 8 of them in registers, or 6 × 8: rows 4ty … 4ty + 3 and, below those of all threads, another 4 or 2;
// columns 4tx … 4tx + 3 and those 64 to the right. Workgroup memory holds 16 terms at a time, where a vec4 is a
// "quartet" of 4 neighbouring rows or columns; the next 16 are loaded into registers meanwhile. In both matrices terms
// are contiguous, so a thread loads a block of 4 × 4, a vec4 of terms for each row (or column) of a quartet, and
// transposes it.

// Rows of a tile: 128, or 96 for too few rows.
const ROWS = 128u;
// Rows that a thread computes below its first four: 4 or 2.
const LOWER = ROWS / 16u - 4u;
const_assert LOWER == 4u || LOWER == 2u;
// Terms in workgroup memory, and the distance between them in vec4s. Threads that store four terms each at once would
// hit the same memory bank, so a quartet's position depends on the term; see `spread`.
const TERMS = 16u;
const PITCH = 32u;
// Start of the columns' tile, after the rows'.
const COLUMN_TILE = TERMS * PITCH;

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
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

// Both tiles, first the rows'.
var<workgroup> memory: array<vec4f, 2 * TERMS * PITCH>;

@compute @workgroup_size(256)
fn conv2d_backward_w_vec4(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let group = tile.z % u.groups;
  let split = tile.z / u.groups;
  let groupMaps = u.c / u.groups;
  let groupFilters = u.o / u.groups;
  let taps = groupMaps * u.kh * u.kw;
  let terms = u.oh * u.ow * u.images;
  let firstRow = tile.y * ROWS;
  let firstColumn = tile.x * 128u;
  // The terms of this split, in whole slices.
  let perSplit = (terms + TERMS * u.splits - 1u) / (TERMS * u.splits) * TERMS;
  let first = split * perSplit;
  let end = min(first + perSplit, terms);

  // This thread loads four terms of four columns (the first half of the threads) or of four rows (as many of the second
  // half as needed). Those beyond the last are loaded as copies of it and not stored; terms beyond the last are zero.
  let loadsColumns = thread < 128u;
  let loads = ROWS == 128u || thread < 128u + ROWS;
  let endOfRows = select(0u, end, loads);
  let term = thread % 4u * 4u;
  let quartet = thread % 128u / 4u;
  let place = select(0u, COLUMN_TILE, loadsColumns) + term * PITCH + spread(quartet, term);
  let mine = quartet * 4u + vec4u(0u, 1u, 2u, 3u);
  let rows = (group * groupFilters + min(firstRow + mine, vec4u(groupFilters - 1u))) * (terms / 4u);
  let tap = min(firstColumn + mine, vec4u(taps - 1u));
  let i = vec4i(tap / u.kw % u.kh) - i32(u.pad);
  let j = vec4i(tap % u.kw) - i32(u.pad);
  let map = vec4i(group * groupMaps + tap / (u.kh * u.kw));
  // In vec4s of images, like `output`.
  let corner = ((map * i32(u.h) + i) * i32(u.w) + j) * i32(u.images / 4u);
  var output = digits((first + term) / 4u);
  let nextSlice = digits(TERMS / 4u);
  // The results it computes. The threads of a subgroup form a block of 4 × 8, so that few of them read different rows.
  let tx = thread / 32u % 2u * 8u + thread % 8u;
  let ty = thread / 64u * 4u + thread / 8u % 4u;
  // Where two threads share a lower quartet: whether this one has its second half.
  let isSecond = LOWER == 2u && ty % 2u == 1u;
  var sums: array<vec4f, 16>;
  var block = mat4x4f();
  if (loadsColumns) {
    block = pixels(i, j, corner, output, first + term < end);
  } else {
    block = gradients(rows, first + term, endOfRows);
  }
  for (var k = first; k < end; k += TERMS) {
    workgroupBarrier();
    if (loads) {
      let turned = transpose(block);
      memory[place] = turned[0];
      memory[place + PITCH] = turned[1];
      memory[place + 2u * PITCH] = turned[2];
      memory[place + 3u * PITCH] = turned[3];
    }
    workgroupBarrier();
    output = add_digits(output, nextSlice);
    if (loadsColumns) {
      block = pixels(i, j, corner, output, k + TERMS + term < end);
    } else {
      block = gradients(rows, k + TERMS + term, endOfRows);
    }
    for (var t = 0u; t < TERMS; t++) {
      let rows0 = memory[t * PITCH + spread(ty, t)];
      let rows1 = memory[t * PITCH + spread(ty / (4u / LOWER), t) + 16u];
      let columns0 = memory[COLUMN_TILE + t * PITCH + spread(tx, t)];
      let columns1 = memory[COLUMN_TILE + t * PITCH + spread(tx, t) + 16u];
      sums[0] += rows0.x * columns0;
      sums[1] += rows0.x * columns1;
      sums[2] += rows0.y * columns0;
      sums[3] += rows0.y * columns1;
      sums[4] += rows0.z * columns0;
      sums[5] += rows0.z * columns1;
      sums[6] += rows0.w * columns0;
      sums[7] += rows0.w * columns1;
      let pair = select(rows1.xy, rows1.zw, isSecond);
      sums[8] += pair.x * columns0;
      sums[9] += pair.x * columns1;
      sums[10] += pair.y * columns0;
      sums[11] += pair.y * columns1;
      if (LOWER == 4u) {
        sums[12] += rows1.z * columns0;
        sums[13] += rows1.z * columns1;
        sums[14] += rows1.w * columns0;
        sums[15] += rows1.w * columns1;
      }
    }
  }
  // Here and above, `sums` is only indexed by constants, so that it stays in registers.
  let column = firstColumn + tx * 4u;
  var row = firstRow + ty * 4u;
  store(tile.z, row, column, sums[0], sums[1]);
  store(tile.z, row + 1u, column, sums[2], sums[3]);
  store(tile.z, row + 2u, column, sums[4], sums[5]);
  store(tile.z, row + 3u, column, sums[6], sums[7]);
  row = firstRow + 64u + ty * LOWER;
  store(tile.z, row, column, sums[8], sums[9]);
  store(tile.z, row + 1u, column, sums[10], sums[11]);
  if (LOWER == 4u) {
    store(tile.z, row + 2u, column, sums[12], sums[13]);
    store(tile.z, row + 3u, column, sums[14], sums[15]);
  }
}

// A quartet's position among those of a term.
fn spread(quartet: u32, term: u32) -> u32 {
  return quartet ^ (term / 4u * 2u);
}

// Four terms of each of four rows.
fn gradients(rows: vec4u, term: u32, end: u32) -> mat4x4f {
  if (term >= end) {
    return mat4x4f();
  }
  let at = rows + term / 4u;
  return mat4x4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
}

// The pixels under four taps (i, j) for an output (p, q), four images each.
fn pixels(i: vec4i, j: vec4i, corner: vec4i, output: vec3u, valid: bool) -> mat4x4f {
  let top = i32(output.x * u.stride);
  let left = i32(output.y * u.stride);
  let at = corner + (top * i32(u.w) + left) * i32(u.images / 4u) + i32(output.z);
  // Negative rows and columns wrap to numbers that are too large.
  let inside = (vec4u(i + top) < vec4u(u.h)) & (vec4u(j + left) < vec4u(u.w)) & vec4<bool>(valid);
  var block = mat4x4f();
  if (inside.x) {
    block[0] = x[at.x];
  }
  if (inside.y) {
    block[1] = x[at.y];
  }
  if (inside.z) {
    block[2] = x[at.z];
  }
  if (inside.w) {
    block[3] = x[at.w];
  }
  return block;
}

// An output's index, in vec4s of images, as (p, q, n / 4), and the sum of two.
fn digits(output: u32) -> vec3u {
  let quads = u.images / 4u;
  return vec3u(output / (u.ow * quads), output / quads % u.ow, output % quads);
}

fn add_digits(a: vec3u, b: vec3u) -> vec3u {
  var sum = a + b;
  if (sum.z >= u.images / 4u) {
    sum.z -= u.images / 4u;
    sum.y++;
  }
  if (sum.y >= u.ow) {
    sum.y -= u.ow;
    sum.x++;
  }
  return sum;
}

fn store(z: u32, row: u32, column: u32, left: vec4f, right: vec4f) {
  let rows = u.o / u.groups;
  if (row >= rows) {
    return;
  }
  // Ordered by split, then by group.
  store_quartet(z * rows + row, column, left);
  store_quartet(z * rows + row, column + 64u, right);
}

fn store_quartet(row: u32, column: u32, values: vec4f) {
  let columns = u.c / u.groups * u.kh * u.kw;
  let at = row * columns + column;
  if (column < columns) {
    dw[at] = values.x;
  }
  if (column + 1u < columns) {
    dw[at + 1u] = values.y;
  }
  if (column + 2u < columns) {
    dw[at + 2u] = values.z;
  }
  if (column + 3u < columns) {
    dw[at + 3u] = values.w;
  }
}
