// y[i] = Σ_j x[i, j]: x is rows × columns. A call handles `count` rows from `start` on. Sixteen sums run in parallel;
// every 4,096 elements they are added up in 64 bits, so that sums of millions of elements stay precise.

const BLOCK: usize = 4096 << 2;

export function rowSum(start: i32, count: i32, x: usize, y: usize, rows: i32, columns: i32): void {
  const bytes = (<usize>columns) << 2;
  x += bytes * start;
  y += (<usize>start) << 2;
  for (let i = 0; i < count; i++, y += 4) {
    const end = x + bytes;
    let total: f64 = 0;
    while (x < end) {
      const stop = min(x + BLOCK, end);
      total += blockSum(x, stop);
      x = stop;
    }
    store<f32>(y, <f32>total);
  }
}

function blockSum(x: usize, end: usize): f64 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const vectors = x + (((end - x) >> 6) << 6);
  for (; x < vectors; x += 64) {
    a = f32x4.add(a, v128.load(x));
    b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32));
    d = f32x4.add(d, v128.load(x, 48));
  }
  const all = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  let sum =
    <f64>f32x4.extract_lane(all, 0) +
    <f64>f32x4.extract_lane(all, 1) +
    <f64>f32x4.extract_lane(all, 2) +
    <f64>f32x4.extract_lane(all, 3);
  for (; x < end; x += 4) sum += <f64>load<f32>(x);
  return sum;
}
