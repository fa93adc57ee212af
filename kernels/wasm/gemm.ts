// C = op(A) · op(B), or C += op(A) · op(B) with `accumulate`; row-major.
//
//   op(A): m × k, op(B): k × n, C: m × n; lda, ldb, ldc are distances between rows in memory, in floats.
//
// The scheme of GotoBLAS: a block of B (KC × NC) is packed into panels of 20 columns, k outermost, and a block of A
// (MC × KC) into rows, so that the innermost loop reads memory sequentially. It multiplies 2 rows of A by a panel of B
// in 10 vector registers. Of x86-64's 16, that leaves room for the operands; more sums would be spilled. Each step
// takes 5 loads of B and 2 that broadcast a number of A, which cost nothing beside 20 multiplications and additions,
// while shuffles that extract numbers from a vector of A would compete with them. Such a load is a single instruction
// only if its address has no offset, hence a pointer for each row. Unrolling by hand is slower: the compiler puts a
// sum's two steps next to each other, and spills what waits.

const KC: i32 = 256; // a panel of B, 20 KB, stays in the first-level cache
const MC: i32 = 128; // the block of A, 128 KB, in the second-level cache
const NC: i32 = 1000; // the block of B, 1 MB, in the last-level cache

const WIDE: i32 = 20;
/** Width of the last panel if no more columns are left; then 4 rows at a time. */
const NARROW: i32 = 8;

/** workspace: (MC + NC) · KC + 40 floats. */
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
  const packedB = packedA + ((<usize>(MC * KC)) << 2);
  const tile = packedB + ((<usize>(NC * KC)) << 2);
  if (k == 0 && !accumulate) {
    for (let i = 0; i < m; i++) memory.fill(c + ((<usize>i * ldc) << 2), 0, (<usize>n) << 2);
  }
  for (let column = 0; column < n; column += NC) {
    const columns = min(NC, n - column);
    for (let depth = 0; depth < k; depth += KC) {
      const depths = min(KC, k - depth);
      const add = accumulate || depth > 0;
      if (transB) packColumns(b + ((<usize>column * ldb + depth) << 2), ldb, columns, depths, packedB);
      else packRows(b + ((<usize>depth * ldb + column) << 2), ldb, columns, depths, packedB);
      for (let row = 0; row < m; row += MC) {
        const rows = min(MC, m - row);
        if (transA) transposeRows(a + ((<usize>depth * lda + row) << 2), lda, rows, depths, packedA);
        else copyRows(a + ((<usize>row * lda + depth) << 2), lda, rows, depths, packedA);
        multiplyBlocks(rows, columns, depths, packedA, packedB, add, c + ((<usize>row * ldc + column) << 2), ldc, tile);
      }
    }
  }
}

/** Width of a panel when `left` columns are left. */
function panelWidth(left: i32): i32 {
  return left > NARROW ? WIDE : NARROW;
}

/** Computes all tiles of a block of C. */
function multiplyBlocks(
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
  const rowOfA = packedRow(depths);
  let panel = packedB;
  for (let j = 0; j < columns;) {
    const width = panelWidth(columns - j);
    const high = width == WIDE ? 2 : 4;
    const wide = min(width, columns - j);
    for (let i = 0; i < rows; i += high) {
      // Rows beyond the last are computed as copies of it and not stored.
      const last = rows - 1 - i;
      const a0 = packedA + <usize>i * rowOfA;
      const a1 = a0 + <usize>min(1, last) * rowOfA;
      const to = c + <usize>i * rowBytes + ((<usize>j) << 2);
      const whole = last >= high - 1 && wide == width;
      const into = whole ? to : tile;
      const step = whole ? rowBytes : (<usize>width) << 2;
      if (width == WIDE) {
        multiply2x20(depths, a0, a1, panel, add && whole, into, into + step);
      } else {
        const a2 = a0 + <usize>min(2, last) * rowOfA;
        const a3 = a0 + <usize>min(3, last) * rowOfA;
        multiply4x8(depths, a0, a1, a2, a3, panel, add && whole, into, step);
      }
      if (!whole) storePart(tile, width, min(high, last + 1), wide, add, to, rowBytes);
    }
    panel += (<usize>(width * depths)) << 2;
    j += width;
  }
}

/** 2 × 20 elements of C from two rows of A and a panel of B. */
function multiply2x20(depths: i32, a0: usize, a1: usize, b: usize, add: bool, c0: usize, c1: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s03 = s00;
  let s04 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s13 = s00;
  let s14 = s00;
  const end = a0 + ((<usize>depths) << 2);
  do {
    const x0 = v128.load32_splat(a0);
    const x1 = v128.load32_splat(a1);
    let y = v128.load(b);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s10 = f32x4.add(s10, f32x4.mul(x1, y));
    y = v128.load(b, 16);
    s01 = f32x4.add(s01, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    y = v128.load(b, 32);
    s02 = f32x4.add(s02, f32x4.mul(x0, y));
    s12 = f32x4.add(s12, f32x4.mul(x1, y));
    y = v128.load(b, 48);
    s03 = f32x4.add(s03, f32x4.mul(x0, y));
    s13 = f32x4.add(s13, f32x4.mul(x1, y));
    y = v128.load(b, 64);
    s04 = f32x4.add(s04, f32x4.mul(x0, y));
    s14 = f32x4.add(s14, f32x4.mul(x1, y));
    a0 += 4;
    a1 += 4;
    b += 80;
  } while (a0 < end);
  storeVector(c0, s00, add);
  storeVector(c0 + 16, s01, add);
  storeVector(c0 + 32, s02, add);
  storeVector(c0 + 48, s03, add);
  storeVector(c0 + 64, s04, add);
  storeVector(c1, s10, add);
  storeVector(c1 + 16, s11, add);
  storeVector(c1 + 32, s12, add);
  storeVector(c1 + 48, s13, add);
  storeVector(c1 + 64, s14, add);
}

/** 4 × 8 elements of C from four rows of A and a panel of B; rows of C are `step` bytes apart. */
function multiply4x8(
  depths: i32,
  a0: usize,
  a1: usize,
  a2: usize,
  a3: usize,
  b: usize,
  add: bool,
  c: usize,
  step: usize,
): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  const end = a0 + ((<usize>depths) << 2);
  do {
    const left = v128.load(b);
    const right = v128.load(b, 16);
    let x = v128.load32_splat(a0);
    s00 = f32x4.add(s00, f32x4.mul(x, left));
    s01 = f32x4.add(s01, f32x4.mul(x, right));
    x = v128.load32_splat(a1);
    s10 = f32x4.add(s10, f32x4.mul(x, left));
    s11 = f32x4.add(s11, f32x4.mul(x, right));
    x = v128.load32_splat(a2);
    s20 = f32x4.add(s20, f32x4.mul(x, left));
    s21 = f32x4.add(s21, f32x4.mul(x, right));
    x = v128.load32_splat(a3);
    s30 = f32x4.add(s30, f32x4.mul(x, left));
    s31 = f32x4.add(s31, f32x4.mul(x, right));
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    b += 32;
  } while (a0 < end);
  storeVector(c, s00, add);
  storeVector(c + 16, s01, add);
  storeVector(c + step, s10, add);
  storeVector(c + step + 16, s11, add);
  storeVector(c + 2 * step, s20, add);
  storeVector(c + 2 * step + 16, s21, add);
  storeVector(c + 3 * step, s30, add);
  storeVector(c + 3 * step + 16, s31, add);
}

function storeVector(to: usize, value: v128, add: bool): void {
  v128.store(to, add ? f32x4.add(v128.load(to), value) : value);
}

/** Stores the part of a tile that lies inside C. */
function storePart(tile: usize, width: i32, high: i32, wide: i32, add: bool, to: usize, rowBytes: usize): void {
  for (let r = 0; r < high; r++) {
    for (let s = 0; s < wide; s++) {
      const at = to + <usize>r * rowBytes + ((<usize>s) << 2);
      const value = load<f32>(tile + ((<usize>(r * width + s)) << 2));
      store<f32>(at, add ? load<f32>(at) + value : value);
    }
  }
}

/** Bytes between rows of the packed block of A: whole vectors. */
function packedRow(depths: i32): usize {
  return (<usize>((depths + 3) & ~3)) << 2;
}

/** Packs a block of A as it is. */
function copyRows(from: usize, rowLength: i32, rows: i32, depths: i32, to: usize): void {
  const step = packedRow(depths);
  for (let i = 0; i < rows; i++) {
    memory.copy(to + <usize>i * step, from + ((<usize>i * rowLength) << 2), (<usize>depths) << 2);
  }
}

/** Packs a block of transposed A: from[d, i] → to[i, d]. */
function transposeRows(from: usize, rowLength: i32, rows: i32, depths: i32, to: usize): void {
  const step = packedRow(depths);
  for (let d = 0; d < depths; d += 4) {
    const source = from + ((<usize>d * rowLength) << 2);
    transpose(source, rowLength, min(4, depths - d), rows, to + ((<usize>d) << 2), step);
  }
}

/** Packs panels of transposed B: from[j, d] → to[panel, d, j], padded with 0. */
function packColumns(from: usize, rowLength: i32, columns: i32, depths: i32, to: usize): void {
  for (let j = 0; j < columns;) {
    const width = panelWidth(columns - j);
    for (let i = 0; i < width; i += 4) {
      const rows = max(0, min(4, columns - j - i));
      transpose(
        from + ((<usize>(j + i) * rowLength) << 2),
        rowLength,
        rows,
        depths,
        to + ((<usize>i) << 2),
        (<usize>width) << 2,
      );
    }
    to += (<usize>(width * depths)) << 2;
    j += width;
  }
}

/** Packs panels of B: from[d, j] → to[panel, d, j], padded with 0. */
function packRows(from: usize, rowLength: i32, columns: i32, depths: i32, to: usize): void {
  const rowBytes = (<usize>rowLength) << 2;
  for (let j = 0; j < columns;) {
    const width = panelWidth(columns - j);
    const wide = min(width, columns - j);
    let source = from + ((<usize>j) << 2);
    for (let d = 0; d < depths; d++, source += rowBytes) {
      for (let s = 0; s < width; s += 4, to += 16) {
        const at = source + ((<usize>s) << 2);
        if (s + 4 <= wide) v128.store(to, v128.load(at));
        else storePartial(to, at, wide - s);
      }
    }
    j += width;
  }
}

/** Transposes: from[i, d] → to[d · step + i], i < 4, with 0 where i ≥ rows; `step` in bytes. */
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

/** Stores four floats: the first `count` from memory, the others 0. */
function storePartial(to: usize, from: usize, count: i32): void {
  for (let i = 0; i < 4; i++) {
    store<f32>(to + ((<usize>i) << 2), i < count ? load<f32>(from + ((<usize>i) << 2)) : 0);
  }
}
