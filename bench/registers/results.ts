/** The results of bench/registers, and their table. */
import { markdownTable } from "../../src/io/markdown.ts";
import type { Machine } from "../results.ts";
import { list } from "../results_file.ts";
import { CHIPS } from "./occupancy.ts";

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

/** Whether it keeps registers in memory, which is slow. */
export function spills({ spilledVgprs, spilledSgprs, scratchBytes }: Row): boolean {
  return spilledVgprs + spilledSgprs + scratchBytes > 0;
}

export function document({ rows, ...rest }: Results): string {
  const head = Object.entries(rest).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},\n`);
  return `{\n${head.join("")}  "rows": ${list(rows)}\n}\n`;
}

/** The matrix products, a line each with registers and waves on each chip, and a sentence about the other kernels. */
export function registersTable({ rows }: Results): string {
  const isProduct = ({ workgroupBytes, kernel }: Row) => workgroupBytes > 0 && /^(linear|conv2d)_/.test(kernel);
  const chips = CHIPS.filter(({ family }) => rows.some(({ chip }) => chip === family));
  const lines = [...Map.groupBy(rows.filter(isProduct), ({ kernel }) => kernel)].map(([kernel, own]) => {
    const cells = chips.map(({ family }) => {
      const row = own.find(({ chip }) => chip === family)!;
      return `${row.vgprs} (${row.waves})${spills(row) ? ", spills" : ""}`;
    });
    return [kernel, `${own[0]!.threads}`, `${own[0]!.workgroupBytes / 1024} KiB`, ...cells];
  });
  const others = rows.filter((row) => !isProduct(row));
  const count = new Set(others.map(({ kernel }) => kernel)).size;
  const most = others.reduce((a, b) => (b.vgprs > a.vgprs ? b : a));
  const fewest = others.reduce((a, b) => (b.waves < a.waves ? b : a));
  const spilling = [...new Set(rows.filter(spills).map(({ kernel }) => kernel))].join(", ");
  return [
    markdownTable([["", "threads", "memory", ...chips.map(({ name }) => name)], ...lines]),
    `The other ${count} kernels and variants have at most ${most.vgprs} registers (${most.kernel}), and at least ` +
      `${fewest.waves} waves (${fewest.kernel} on ${chips.find(({ family }) => family === fewest.chip)!.name}). ` +
      (spilling ? `Registers are spilled by ${spilling}.` : "None spills registers."),
  ].join("\n\n");
}
