/** The machine's BLAS: each worker calls it, single-threaded, directly on the shared WebAssembly memory. */
import { dlopen, FFIType, ptr, type Pointer } from "bun:ffi";
import type { BlasLibrary } from "../../native/libraries.ts";
import type { Gemm } from "./gemm.ts";

const { i32, f32 } = FFIType;
const pointer = FFIType.ptr;
const sgemm = {
  //      order, ta, tb,  m,   n,   k,   α,   a,       lda, b,       ldb, β,   c,       ldc
  args: [i32, i32, i32, i32, i32, i32, f32, pointer, i32, pointer, i32, f32, pointer, i32],
  returns: FFIType.void,
} as const;
const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const TRANSPOSE = 112;

/** @throws Error when the library or a symbol is missing */
export function openBlas({ loadPath, prefix }: BlasLibrary, memory: WebAssembly.Memory): Gemm {
  singleThreaded(loadPath, prefix);
  const name = `${prefix}cblas_sgemm`;
  const multiply = dlopen(loadPath, { [name]: sgemm }).symbols[name]!;
  // The address doesn't change when the memory grows: engines reserve a shared memory's maximum at once.
  const base = Number(ptr(new Uint8Array(memory.buffer)));
  const at = (address: number) => (base + address) as Pointer;
  return (transA, transB, m, n, k, a, lda, b, ldb, accumulate, c, ldc) => {
    multiply(
      ROW_MAJOR,
      transA ? TRANSPOSE : NO_TRANSPOSE,
      transB ? TRANSPOSE : NO_TRANSPOSE,
      m,
      n,
      k,
      1,
      at(a),
      lda,
      at(b),
      ldb,
      accumulate ? 1 : 0,
      at(c),
      ldc,
    );
  };
}

/** Keeps the library from starting its own threads, which would only compete with the workers. */
function singleThreaded(path: string, prefix: string): void {
  for (const [symbol, value] of [
    [`${prefix}openblas_set_num_threads`, 1],
    // Accelerate, macOS 15: BLAS_THREADING_SINGLE_THREADED
    ["BLASSetThreading", 1],
    ["MKL_Set_Num_Threads", 1],
  ] as const) {
    try {
      dlopen(path, { [symbol]: { args: [i32], returns: i32 } }).symbols[symbol]!(value);
      return;
    } catch {
      // Another library's symbol.
    }
  }
}
