/**
 * The GPU's matrix product ladder, one self-contained WGSL file per rung:
 *
 *   c[i, j] = Σ_t a[i, t] · b[t, j]     a: M × K, b: K × N, c: M × N, all row-major
 *
 * The top rung, the one in use, is `linearForward` in src/engine/ops/linear.ts, with its variants.
 */
import { kernel, type Elements, type Workgroups } from "../../src/engine/kernel.ts";
import naive from "./matmul_1_naive.wgsl" with { type: "text" };
import tiled from "./matmul_2_tiled.wgsl" with { type: "text" };
import vectorised from "./matmul_3_vectorised.wgsl" with { type: "text" };
import registers from "./matmul_4_registers.wgsl" with { type: "text" };

/** @param rows and columns of the tile computed by a workgroup */
function rung(name: string, wgsl: string, rows: number, columns: number) {
  return kernel({
    name,
    module: import.meta.url,
    wgsl,
    buffers: { a: "read", b: "read", c: "write" },
    uniforms: { m: "u32", n: "u32", k: "u32" },
    workgroups: ({ m, n }): Workgroups => [Math.ceil(n / columns), Math.ceil(m / rows), 1],
    reference,
  });
}

function reference(
  { a, b, c }: Readonly<Record<"a" | "b" | "c", Elements>>,
  { m, n, k }: Readonly<Record<"m" | "n" | "k", number>>,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let t = 0; t < k; t++) sum += a[i * k + t]! * b[t * n + j]!;
      c[i * n + j] = sum;
    }
  }
}

/** Slowest first. */
export const matmulLadder = [
  rung("matmul_1_naive", naive, 16, 16),
  rung("matmul_2_tiled", tiled, 16, 16),
  rung("matmul_3_vectorised", vectorised, 16, 64),
  rung("matmul_4_registers", registers, 64, 64),
] as const;
