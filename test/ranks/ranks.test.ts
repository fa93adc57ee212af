/** Ranks by each MPI that this machine has: what they do together, and how they end when one of them does. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { launcherOf, openMpi } from "../../src/native/mpi.ts";
import { pack, unpack } from "../../src/ranks/peers.ts";
import { ALONE, openRanks } from "../../src/ranks/ranks.ts";
import { jsonLines } from "../support/cli.ts";
import { ended, launchers, missing, startRanks } from "../support/mpi.ts";

setDefaultTimeout(120_000);
const RANK = join(import.meta.dir, "rank.ts");

describe("the launcher", () => {
  test.each([
    [{}, undefined],
    [
      { PMI_RANK: "1", PMI_SIZE: "4" },
      { family: "mpich", size: 4 },
    ],
    [
      { PMI_ID: "1", PMI_PORT: "host:1" },
      { family: "mpich", size: undefined },
    ],
    [
      { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2", PMIX_RANK: "0" },
      { family: "openmpi", size: 2 },
    ],
    [{ PMIX_RANK: "0" }, { family: "pmix", size: undefined }],
    // A batch script of Slurm, which is no step.
    [{ SLURM_PROCID: "0", SLURM_NTASKS: "4" }, undefined],
    [{ SLURM_STEP_NUM_TASKS: "1" }, undefined],
  ])("%j", (environment, expected) => expect(launcherOf(environment)).toEqual(expected as never));

  test("Slurm without MPI is named as such", () => {
    const text = "srun started 4 tasks without MPI: start them with srun --mpi=pmix or --mpi=pmi2";
    expect(() => launcherOf({ SLURM_STEP_NUM_TASKS: "4" })).toThrow(text);
  });

  test("a process that was started alone needs no MPI", async () => {
    expect(await openRanks()).toBe(ALONE);
  });

  test("a file that is no MPI library is refused", () => {
    process.env.MPI_LIB_PATH = "/nowhere/libmpi.so";
    const open = () => openMpi({ family: "mpich", size: 2 });
    expect(open).toThrow("MPI_LIB_PATH is /nowhere/libmpi.so, which can't be loaded or is not an MPI library");
    delete process.env.MPI_LIB_PATH;
  });
});

test("whole messages come as they were sent, long ones as far as there is room", () => {
  const message = new Uint8Array(1024);
  for (const text of ["", "no more", "grün".repeat(100), "x".repeat(5000)]) {
    pack(message, 1, text);
    const read = unpack(message);
    expect(read.kind).toBe(1);
    expect(text.startsWith(read.text)).toBe(true);
    expect(read.text.length).toBe(Math.min(text.length, 1020));
  }
});

describe.skipIf(missing !== undefined)(`ranks${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test.each(launchers.map((launcher) => [launcher.name, launcher] as const))("%s", async (_name, launcher) => {
    const { stdout, stderr, code } = await ended(startRanks(3, [RANK, "all"], import.meta.dir, { launcher }));
    expect(code, stderr).toBe(0);
    const lines = jsonLines(stdout).sort((a, b) => a.rank - b.rank);
    expect(lines.map(({ rank }) => rank)).toEqual([0, 1, 2]);
    for (const { rank, ...line } of lines) {
      expect(line).toEqual({
        ...{
          size: 3,
          small: [6, 6, 6],
          blocked: [3, 3],
          large: 6,
          texts: ["", "x", "xx"],
          shared: { by: 0 },
          given: [7, 7, 7, 7, 7],
        },
        local: { rank, size: 3 },
        collected: [0, 0, 1, 10, 2, 20],
        // Three times what was collected, and each number's place.
        block: [3 * (rank + 2 * rank), 3 * (10 * rank + 2 * rank + 1)],
        // Of three ranks: sums of 12, 4, 16 and 800,000 bytes, 8 bytes of each collected, a block of the sum of 24.
        sentBytes: expect.closeTo((4 / 3) * (12 + 4 + 16 + 800_000) + 16 + 16, 3),
      });
    }
  });

  test("one that can't go on says so to those that are blocked", async () => {
    const { stdout, stderr, code } = await ended(startRanks(3, [RANK, "fail-blocked"], import.meta.dir));
    expect(stderr).toMatch(/^rank 1 of 3 \(.+\): no more$/m);
    for (const { message } of jsonLines(stdout)) expect(message).toMatch(/^rank 1 of 3 \(.+\): no more$/);
    expect(code).toBe(1);
  });

  test("one that can't go on says so, and all end", async () => {
    const { stderr, code, seconds } = await ended(startRanks(3, [RANK, "fail"], import.meta.dir));
    expect(stderr).toMatch(/^rank 1 of 3 \(.+\): no more$/m);
    expect(code).toBe(1);
    expect(seconds).toBeLessThan(60);
  });
});
