// C = op(A) · op(B), or C += op(A) · op(B) where `accumulate`; row-major.
//
//   op(A): m × k, op(B): k × n, C: m × n; lda, ldb, ldc are distances between rows as they lie in memory, in floats.
//
// The scheme of GotoBLAS: a block of B (KC × NC) is copied into panels of 8 columns, a block of A (MC × KC) into panels
// of 4 rows, both with k outermost, so that the innermost loop reads memory in order. It multiplies a panel of A by a
// panel of B in 8 vector registers: 4 rows × 8 columns. With 16 registers in x86-64, more accumulators would spill, and
// one load of four rows' values of A with four shuffles is faster than four loads that splat.

const KC: i32 = 256; // a panel of B, 8 KB, stays in the first-level cache
const MC: i32 = 128; // the block of A, 128 KB, in the second-level cache
const NC: i32 = 1024; // the block of B, 1 MB, in the last-level cache

/** Floats of the packed block of A, which stands before that of B in the workspace. */
const PACKED_A: i32 = MC * KC;

/** workspace: (MC + NC) · KC + 32 floats. */
export function gemm(
  transA: bool,
  transB: bool,
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  lda: i32,
  b: usize,
  ldb: i32,
  accumulate: bool,
  c: usize,
  ldc: i32,
  workspace: usize,
): void {
  const packedA = workspace;
  const packedB = workspace + ((<usize>PACKED_A) << 2);
  const tile = packedB + ((<usize>(NC * KC)) << 2);
  if (k == 0 && !accumulate) {
    for (let i = 0; i < m; i++) memory.fill(c + ((<usize>i * ldc) << 2), 0, (<usize>n) << 2);
  }
  for (let column = 0; column < n; column += NC) {
    const columns = min(NC, n - column);
    for (let depth = 0; depth < k; depth += KC) {
      const depths = min(KC, k - depth);
      const add = accumulate || depth > 0;
      if (transB) packTransposed8(b + ((<usize>column * ldb + depth) << 2), ldb, columns, depths, packedB);
      else packRows8(b + ((<usize>depth * ldb + column) << 2), ldb, columns, depths, packedB);
      for (let row = 0; row < m; row += MC) {
        const rows = min(MC, m - row);
        if (transA) packRows4(a + ((<usize>depth * lda + row) << 2), lda, rows, depths, packedA);
        else packTransposed4(a + ((<usize>row * lda + depth) << 2), lda, rows, depths, packedA);
        multiplyBlocks(rows, columns, depths, packedA, packedB, add, c + ((<usize>row * ldc + column) << 2), ldc, tile);
      }
    }
  }
}

/** All tiles of a block of C. */
export function multiplyBlocks(
  rows: i32,
  columns: i32,
  depths: i32,
  packedA: usize,
  packedB: usize,
  add: bool,
  c: usize,
  ldc: i32,
  tile: usize,
): void {
  const rowBytes = (<usize>ldc) << 2;
  for (let j = 0; j < columns; j += 8) {
    const panelB = packedB + ((<usize>j * depths) << 2);
    for (let i = 0; i < rows; i += 4) {
      const panelA = packedA + ((<usize>i * depths) << 2);
      const to = c + <usize>i * rowBytes + ((<usize>j) << 2);
      if (i + 4 <= rows && j + 8 <= columns) {
        multiplyTile(depths, panelA, panelB, add, to, rowBytes);
      } else {
        multiplyTile(depths, panelA, panelB, false, tile, 32);
        const high = min(4, rows - i);
        const wide = min(8, columns - j);
        for (let r = 0; r < high; r++) {
          for (let s = 0; s < wide; s++) {
            const at = to + <usize>r * rowBytes + ((<usize>s) << 2);
            const value = load<f32>(tile + ((<usize>(r * 8 + s)) << 2));
            store<f32>(at, add ? load<f32>(at) + value : value);
          }
        }
      }
    }
  }
}

/** 4 × 8 elements of C from a panel of A (depths × 4) and one of B (depths × 8). */
function multiplyTile(depths: i32, a: usize, b: usize, add: bool, c: usize, rowBytes: usize): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  const end = a + ((<usize>depths) << 4);
  while (a < end) {
    const rows = v128.load(a);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let splat = v128.shuffle<f32>(rows, rows, 0, 0, 0, 0);
    c00 = f32x4.add(c00, f32x4.mul(splat, b0));
    c01 = f32x4.add(c01, f32x4.mul(splat, b1));
    splat = v128.shuffle<f32>(rows, rows, 1, 1, 1, 1);
    c10 = f32x4.add(c10, f32x4.mul(splat, b0));
    c11 = f32x4.add(c11, f32x4.mul(splat, b1));
    splat = v128.shuffle<f32>(rows, rows, 2, 2, 2, 2);
    c20 = f32x4.add(c20, f32x4.mul(splat, b0));
    c21 = f32x4.add(c21, f32x4.mul(splat, b1));
    splat = v128.shuffle<f32>(rows, rows, 3, 3, 3, 3);
    c30 = f32x4.add(c30, f32x4.mul(splat, b0));
    c31 = f32x4.add(c31, f32x4.mul(splat, b1));
    a += 16;
    b += 32;
  }
  storeRow(c, c00, c01, add);
  storeRow(c + rowBytes, c10, c11, add);
  storeRow(c + 2 * rowBytes, c20, c21, add);
  storeRow(c + 3 * rowBytes, c30, c31, add);
}

function storeRow(c: usize, left: v128, right: v128, add: bool): void {
  if (add) {
    v128.store(c, f32x4.add(v128.load(c), left));
    v128.store(c, f32x4.add(v128.load(c, 16), right), 16);
  } else {
    v128.store(c, left);
    v128.store(c, right, 16);
  }
}

/** Panels of 4 from a matrix whose rows are the depths: from[d, i] → to[i / 4, d, i % 4], padded with 0. */
function packRows4(from: usize, rowLength: i32, width: i32, depths: i32, to: usize): void {
  const rowBytes = (<usize>rowLength) << 2;
  for (let i = 0; i < width; i += 4) {
    let source = from + ((<usize>i) << 2);
    if (i + 4 <= width) {
      for (let d = 0; d < depths; d++, source += rowBytes, to += 16) v128.store(to, v128.load(source));
    } else {
      for (let d = 0; d < depths; d++, source += rowBytes, to += 16) storePartial(to, source, width - i);
    }
  }
}

/** Panels of 8: from[d, j] → to[j / 8, d, j % 8], padded with 0. */
function packRows8(from: usize, rowLength: i32, width: i32, depths: i32, to: usize): void {
  const rowBytes = (<usize>rowLength) << 2;
  for (let j = 0; j < width; j += 8) {
    let source = from + ((<usize>j) << 2);
    if (j + 8 <= width) {
      for (let d = 0; d < depths; d++, source += rowBytes, to += 32) {
        v128.store(to, v128.load(source));
        v128.store(to, v128.load(source, 16), 16);
      }
    } else {
      const wide = width - j;
      for (let d = 0; d < depths; d++, source += rowBytes, to += 32) {
        storePartial(to, source, min(4, wide));
        storePartial(to + 16, source + 16, wide - 4);
      }
    }
  }
}

/** Panels of 4 from a matrix whose columns are the depths: from[i, d] → to[i / 4, d, i % 4], padded with 0. */
function packTransposed4(from: usize, rowLength: i32, width: i32, depths: i32, to: usize): void {
  const panel = (<usize>depths) << 4;
  for (let i = 0; i < width; i += 4, to += panel) {
    transpose(from + ((<usize>i * rowLength) << 2), rowLength, min(4, width - i), depths, to, 16);
  }
}

/** Panels of 8: from[j, d] → to[j / 8, d, j % 8], padded with 0. */
function packTransposed8(from: usize, rowLength: i32, width: i32, depths: i32, to: usize): void {
  const panel = (<usize>depths) << 5;
  for (let j = 0; j < width; j += 8, to += panel) {
    transpose(from + ((<usize>j * rowLength) << 2), rowLength, min(4, width - j), depths, to, 32);
    transpose(from + ((<usize>(j + 4) * rowLength) << 2), rowLength, min(4, width - j - 4), depths, to + 16, 32);
  }
}

/** from[i, d] → to[d · step + i], i < 4, with 0 where i ≥ rows; `step` in bytes. */
function transpose(from: usize, rowLength: i32, rows: i32, depths: i32, to: usize, step: usize): void {
  const rowBytes = (<usize>rowLength) << 2;
  let d = 0;
  if (rows == 4) {
    for (; d + 4 <= depths; d += 4) {
      const r0 = v128.load(from);
      const r1 = v128.load(from + rowBytes);
      const r2 = v128.load(from + 2 * rowBytes);
      const r3 = v128.load(from + 3 * rowBytes);
      const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
      const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
      v128.store(to + step, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
      v128.store(to + 2 * step, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
      v128.store(to + 3 * step, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
      from += 16;
      to += step << 2;
    }
  }
  for (; d < depths; d++, from += 4, to += step) {
    for (let i = 0; i < 4; i++) {
      store<f32>(to + ((<usize>i) << 2), i < rows ? load<f32>(from + <usize>i * rowBytes) : 0);
    }
  }
}

/** Four floats, of which the first `count` come from memory and the others are 0. */
function storePartial(to: usize, from: usize, count: i32): void {
  for (let i = 0; i < 4; i++) {
    store<f32>(to + ((<usize>i) << 2), i < count ? load<f32>(from + ((<usize>i) << 2)) : 0);
  }
}
