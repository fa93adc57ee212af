// Sums for the statistics of a training set (paper §2 and §4.1): over images, at every position of a record, and of
// products of colours, over all pixels. All are integers, so the order of summation doesn't matter.

/**
 * sums[i] += record[i] for the 3 · pixels bytes of an interleaved RGB record; products (six 64-bit integers) += the
 * sums over its pixels of rr, gg, bb, rg, gb, br.
 */
export function addRecord(record: usize, pixels: i32, sums: usize, products: usize): void {
  const end = record + 3 * <usize>pixels;
  addBytes(record, end, sums);
  while (record < end) {
    // 2¹⁶ products of 255 · 255 still fit into an unsigned 32-bit integer.
    const stop = min(record + 3 * 65_536, end);
    let squares = i32x4.splat(0);
    let mixed = squares;
    for (; record + 4 <= stop; record += 3) {
      const rgb = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(record)));
      squares = i32x4.add(squares, i32x4.mul(rgb, rgb));
      mixed = i32x4.add(mixed, i32x4.mul(rgb, i32x4.shuffle(rgb, rgb, 1, 2, 0, 3)));
    }
    addProducts(products, squares, mixed);
    for (; record < stop; record += 3) {
      const r = <u64>load<u8>(record);
      const g = <u64>load<u8>(record, 1);
      const b = <u64>load<u8>(record, 2);
      store<u64>(products, load<u64>(products) + r * r);
      store<u64>(products, load<u64>(products, 8) + g * g, 8);
      store<u64>(products, load<u64>(products, 16) + b * b, 16);
      store<u64>(products, load<u64>(products, 24) + r * g, 24);
      store<u64>(products, load<u64>(products, 32) + g * b, 32);
      store<u64>(products, load<u64>(products, 40) + b * r, 40);
    }
  }
}

function addBytes(record: usize, end: usize, sums: usize): void {
  for (; record + 16 <= end; record += 16, sums += 64) {
    const bytes = v128.load(record);
    const low = i16x8.extend_low_i8x16_u(bytes);
    const high = i16x8.extend_high_i8x16_u(bytes);
    v128.store(sums, i32x4.add(v128.load(sums), i32x4.extend_low_i16x8_u(low)));
    v128.store(sums, i32x4.add(v128.load(sums, 16), i32x4.extend_high_i16x8_u(low)), 16);
    v128.store(sums, i32x4.add(v128.load(sums, 32), i32x4.extend_low_i16x8_u(high)), 32);
    v128.store(sums, i32x4.add(v128.load(sums, 48), i32x4.extend_high_i16x8_u(high)), 48);
  }
  for (; record < end; record++, sums += 4) store<u32>(sums, load<u32>(sums) + load<u8>(record));
}

function addProducts(products: usize, squares: v128, mixed: v128): void {
  add(products, <u32>i32x4.extract_lane(squares, 0));
  add(products + 8, <u32>i32x4.extract_lane(squares, 1));
  add(products + 16, <u32>i32x4.extract_lane(squares, 2));
  add(products + 24, <u32>i32x4.extract_lane(mixed, 0));
  add(products + 32, <u32>i32x4.extract_lane(mixed, 1));
  add(products + 40, <u32>i32x4.extract_lane(mixed, 2));
}

function add(sum: usize, value: u32): void {
  store<u64>(sum, load<u64>(sum) + <u64>value);
}
