/** Matrix products, in WebAssembly and by BLAS, against sums in 64 bits. */
import { describe, expect, test } from "bun:test";
import { openBlas } from "../../src/devices/cpu/blas.ts";
import { PACK_BYTES, wasmGemm, type Gemm } from "../../src/devices/cpu/gemm.ts";
import { findBlas } from "../../src/native/libraries.ts";
import { Purpose, Random } from "../../src/random.ts";
import { loadKernels } from "../../src/wasm/build.ts";
import { instantiate } from "../../src/wasm/wasm.ts";

const memory = new WebAssembly.Memory({ initial: 200, maximum: 65536, shared: true });
const PACKING = 65_536;
const A = PACKING + Math.ceil(PACK_BYTES / 64) * 64;
const B = A + (2 << 20);
const C = B + (3 << 20);
const blas = await findBlas();
const providers: [name: string, gemm: Gemm][] = [
  ["WebAssembly", wasmGemm(instantiate(await loadKernels(), memory), PACKING)],
];
if (blas) providers.push([blas.kind, openBlas(blas, memory)]);

/** Sizes below, at and above the tiles of 4 × 8, and the blocks of 128 × 256 × 1024. */
const SIZES = [
  [1, 1, 1],
  [1, 9, 2],
  [3, 7, 5],
  [4, 8, 16],
  [5, 8, 0],
  [13, 1, 300],
  [131, 37, 257],
  [17, 1031, 33],
  [129, 65, 513],
] as const;

describe.each(providers)("%s", (_, gemm) => {
  for (const [m, n, k] of SIZES) {
    for (const [transA, transB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      for (const accumulate of [false, true]) {
        const name = `${m} × ${k}${transA ? " transposed" : ""} by ${k} × ${n}${transB ? " transposed" : ""}`;
        test(`${name}${accumulate ? ", added" : ""}`, () => check(gemm, transA, transB, m, n, k, accumulate));
      }
    }
  }
});

function check(gemm: Gemm, transA: boolean, transB: boolean, m: number, n: number, k: number, accumulate: boolean) {
  const random = new Random(m + n * 100 + k * 10_000, Purpose.weights);
  // rows are longer in memory than the matrices are wide
  const [lda, ldb, ldc] = [(transA ? m : k) + 3, (transB ? k : n) + 1, n + 5];
  const a = new Float32Array(memory.buffer, A, (transA ? k : m) * lda).map(() => random.normal());
  const b = new Float32Array(memory.buffer, B, (transB ? n : k) * ldb).map(() => random.normal());
  const c = new Float32Array(memory.buffer, C, m * ldc);
  for (const [to, from] of [
    [A, a],
    [B, b],
  ] as const) {
    new Float32Array(memory.buffer, to, from.length).set(from);
  }
  for (let i = 0; i < c.length; i++) c[i] = i % 7;
  gemm(transA, transB, m, n, k, A, lda, B, ldb, accumulate, C, ldc);
  let worst = 0;
  let touched = 0;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < ldc; j++) {
      const before = (i * ldc + j) % 7;
      const after = c[i * ldc + j]!;
      if (j >= n) {
        if (after !== before) touched++;
        continue;
      }
      let sum = accumulate ? before : 0;
      for (let d = 0; d < k; d++) {
        sum += a[transA ? d * lda + i : i * lda + d]! * b[transB ? j * ldb + d : d * ldb + j]!;
      }
      worst = Math.max(worst, Math.abs(sum - after));
    }
  }
  expect(worst).toBeLessThan(1e-5 * Math.max(10, Math.sqrt(k) * 10));
  expect(touched).toBe(0);
}
