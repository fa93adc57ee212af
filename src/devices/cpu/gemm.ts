/**
 * Matrix products, row-major, on addresses in the shared memory:
 *
 *   C = op(A) · op(B), or C += op(A) · op(B) with `accumulate`
 *
 * op(A): m × k, op(B): k × n, C: m × n; op(X) is X, or Xᵀ if the flag is set. lda, ldb and ldc are the distances in
 * elements between rows in memory.
 */
import type { WasmKernels } from "../../wasm/wasm.ts";

export type Gemm = (
  transA: boolean,
  transB: boolean,
  m: number,
  n: number,
  k: number,
  a: number,
  lda: number,
  b: number,
  ldb: number,
  accumulate: boolean,
  c: number,
  ldc: number,
) => void;

/** Bytes of workspace that `wasmGemm` needs for packed panels; see kernels/wasm/gemm.ts. */
export const PACK_BYTES = ((128 + 1000) * 256 + 40) * 4;

/** Matrix products in WebAssembly, for machines without BLAS. */
export function wasmGemm(wasm: WasmKernels, workspace: number): Gemm {
  return (transA, transB, m, n, k, a, lda, b, ldb, accumulate, c, ldc) =>
    wasm.gemm(+transA, +transB, m, n, k, a, lda, b, ldb, +accumulate, c, ldc, workspace);
}
