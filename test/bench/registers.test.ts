/** Registers and waves of AMD's GPUs. */
import { expect, test } from "bun:test";
import { CHIPS, wavesInFlight } from "../../bench/registers/occupancy.ts";
import { document, spills, type Row } from "../../bench/registers/results.ts";
import { results } from "../support/toy.ts";

const chip = (family: string) => CHIPS.find((each) => each.family === family)!;

test.each([
  // By AMD's table for GCN: 24 registers are the most for 10 waves, 25 for 9, 128 for 2.
  { family: "vega10", vgprs: 24, sgprs: 16, threads: 64, workgroupBytes: 0, waves: 10 },
  { family: "vega10", vgprs: 25, sgprs: 16, threads: 64, workgroupBytes: 0, waves: 9 },
  { family: "vega10", vgprs: 128, sgprs: 16, threads: 64, workgroupBytes: 0, waves: 2 },
  // Scalar registers: 800 of them for waves of 112, 512 for waves of 104.
  { family: "vega10", vgprs: 24, sgprs: 102, threads: 64, workgroupBytes: 0, waves: 7 },
  { family: "tahiti", vgprs: 24, sgprs: 102, threads: 64, workgroupBytes: 0, waves: 4 },
  { family: "navi10", vgprs: 24, sgprs: 102, threads: 64, workgroupBytes: 0, waves: 20 },
  // Workgroup memory: 64 KiB hold four workgroups of 16 KiB, each of a wave on every SIMD.
  { family: "vega10", vgprs: 24, sgprs: 16, threads: 256, workgroupBytes: 16_384, waves: 4 },
  // No more than 16 workgroups of several waves.
  { family: "vega10", vgprs: 24, sgprs: 16, threads: 128, workgroupBytes: 64, waves: 8 },
  // Whole workgroups only: 3 waves on each of 4 SIMDs are 12, of which a workgroup of 8 leaves 4 unused.
  { family: "vega10", vgprs: 84, sgprs: 16, threads: 512, workgroupBytes: 0, waves: 2 },
  { family: "polaris10", vgprs: 8, sgprs: 16, threads: 64, workgroupBytes: 0, waves: 8 },
  { family: "navi21", vgprs: 100, sgprs: 16, threads: 64, workgroupBytes: 0, waves: 4 },
  { family: "gfx1100", vgprs: 100, sgprs: 16, threads: 64, workgroupBytes: 0, waves: 7 },
])(
  "$family: $vgprs and $sgprs registers, $threads threads, $workgroupBytes bytes: $waves waves",
  ({ family, waves, ...needs }) => {
    expect(wavesInFlight(chip(family), needs)).toBe(waves);
  },
);

const row: Row = {
  ...{ kernel: "a", chip: "vega10", vgprs: 24, sgprs: 16, spilledVgprs: 0, spilledSgprs: 0, scratchBytes: 0 },
  ...{ threads: 64, workgroupBytes: 0, waves: 10 },
};

test.each(["spilledVgprs", "spilledSgprs", "scratchBytes"])("a kernel with %s spills", (name) => {
  expect(spills(row)).toBeFalse();
  expect(spills({ ...row, [name]: 4 })).toBeTrue();
});

test("what is written is read again, and has a line for each kernel on each chip", () => {
  const { machine } = results([]);
  const all = { format: 1, machine, driver: "Mesa", translator: "naga", rows: [row, { ...row, kernel: "b" }] } as const;
  expect(JSON.parse(document(all))).toEqual(all);
  expect(
    document(all)
      .split("\n")
      .filter((line) => line.includes('"kernel"')),
  ).toHaveLength(2);
});
