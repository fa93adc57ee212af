/** The results of bench/registers, and their table. */
import { readFileSync } from "node:fs";
import type { Machine } from "../results.ts";

export interface Results {
  readonly format: 1;
  /** Where the compilers ran. */
  readonly machine: Machine;
  /** The driver, with its version, and what translated the WGSL to SPIR-V for it. */
  readonly driver: string;
  readonly translator: string;
  readonly rows: readonly Row[];
}

/** A kernel or variant on a chip. */
export interface Row {
  readonly kernel: string;
  /** A `Chip.family`. */
  readonly chip: string;
  /** Of a wave. */
  readonly vgprs: number;
  readonly sgprs: number;
  /** Registers that did not fit, and are kept in memory. */
  readonly spilledVgprs: number;
  readonly spilledSgprs: number;
  /** Memory that each thread needs, for spilled registers and arrays that are indexed. */
  readonly scratchBytes: number;
  readonly threads: number;
  readonly workgroupBytes: number;
  /** Waves that a SIMD can hold. */
  readonly waves: number;
}

export function readRegisters(path: string): Results {
  return JSON.parse(readFileSync(path, "utf8")) as Results;
}

/** Whether it keeps registers in memory, which is slow. */
export function spills({ spilledVgprs, spilledSgprs, scratchBytes }: Row): boolean {
  return spilledVgprs + spilledSgprs + scratchBytes > 0;
}

/** One row per line: readable, and differences stay small. */
export function document({ rows, ...rest }: Results): string {
  const head = Object.entries(rest).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},\n`);
  return `{\n${head.join("")}  "rows": [\n${rows.map((row) => `    ${JSON.stringify(row)}`).join(",\n")}\n  ]\n}\n`;
}
