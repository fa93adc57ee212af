// Rung 2: the textbook's three loops in WebAssembly, one number at a time. c = a · b, row-major; a: m × k, b: k × n.
//
// Unlike plain TypeScript it has no bounds checks and no conversions between float32 and float64. Every element of b is
// read m times, each a whole row away from the one before: most of the time is spent waiting for memory.

export function scalar(a: usize, b: usize, c: usize, m: i32, n: i32, k: i32): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum: f32 = 0;
      for (let p = 0; p < k; p++) {
        sum += load<f32>(a + ((<usize>(i * k + p)) << 2)) * load<f32>(b + ((<usize>(p * n + j)) << 2));
      }
      store<f32>(c + ((<usize>(i * n + j)) << 2), sum);
    }
  }
}
