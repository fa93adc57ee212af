// Rung 3: four numbers at a time. c = a · b, row-major; a: m × k, b: k × n.
//
// Four columns of c are summed in one vector, so that b is read along its rows, 16 bytes at a time. Each number of a is
// used for only one vector of b: there are still as many loads as multiplications.

export function simd(a: usize, b: usize, c: usize, m: i32, n: i32, k: i32): void {
  const whole = n & ~3;
  const rowBytes = (<usize>n) << 2;
  for (let i = 0; i < m; i++) {
    const row = a + ((<usize>i * k) << 2);
    for (let j = 0; j < whole; j += 4) {
      let at = b + ((<usize>j) << 2);
      let sum = f32x4.splat(0);
      for (let p = 0; p < k; p++, at += rowBytes) {
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(row + ((<usize>p) << 2)), v128.load(at)));
      }
      v128.store(c + ((<usize>(i * n + j)) << 2), sum);
    }
    for (let j = whole; j < n; j++) {
      let sum: f32 = 0;
      for (let p = 0; p < k; p++) {
        sum += load<f32>(row + ((<usize>p) << 2)) * load<f32>(b + ((<usize>(p * n + j)) << 2));
      }
      store<f32>(c + ((<usize>(i * n + j)) << 2), sum);
    }
  }
}
