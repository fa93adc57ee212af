/** Several ranks on GPUs, and on a GPU beside the cpu: the same losses as one device has. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { describeBackends } from "../support/backends.ts";
import { cli, MAIN } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { CPU, ended, missing, startRanks } from "../support/mpi.ts";
import { stepLosses } from "../support/steps.ts";

// A software GPU takes its time.
setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);

describe.skipIf(missing !== undefined)(`ranks${missing ? ` (skipped: ${missing})` : ""}`, () =>
  describeBackends("losses", losses, ["wgpu"]),
);

function losses(): void {
  const GPU = ["--device", "gpu:0"];
  // Three steps, the last of them not full.
  const [batch, images] = [8, 20];
  const common = [
    ...["train", "--model", "alexnet-cifar", "--augment", "modern", "--rate", "0.000001", "--schedule", "constant"],
    ...["--batch", `${batch}`, "--limit", `${images}`, "--epochs", "1", "--json"],
  ];
  const lossesOf = (stdout: string) => stepLosses(stdout, batch, images);
  let one: readonly number[] | undefined;

  test.each([
    ["two that share one", GPU, undefined, []],
    ["one, and one on the cpu", GPU, CPU, []],
    ["two, the network cut between them", GPU, undefined, ["--split", "owt"]],
  ])("%s", async (name, device, other, split) => {
    if (!one) {
      const { code, stdout, stderr } = await cli([...common, ...GPU, "--out", "one"], { cwd: folder.path });
      expect(code, stderr).toBe(0);
      one = lossesOf(stdout);
      expect(one.length).toBe(3);
    }
    const args = [MAIN, ...common, ...split, "--out", name.replace(/\W+/g, "-")];
    const child = other
      ? startRanks(1, [...args, ...device], folder.path, { others: [...args, ...other] })
      : startRanks(2, [...args, ...device], folder.path);
    const { code, stdout, stderr } = await ended(child);
    expect(code, stderr).toBe(0);
    const found = lossesOf(stdout);
    expect(found.length).toBe(3);
    expect(Math.max(...found.map((loss, i) => Math.abs(loss - one![i]!)))).toBeLessThan(1e-5);
  });
}
