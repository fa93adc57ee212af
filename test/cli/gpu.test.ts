/** The commands on a GPU, and the same run resumed and used on the cpu. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describeBackends } from "../support/backends.ts";
import { cli, epochsOf, jsonLines } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

// A software GPU is slow.
setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const GPU = ["--device", "gpu:0"];
const CPU = ["--device", "cpu", "--threads", "1"];

async function events(...args: string[]): Promise<Record<string, any>[]> {
  const { code, stdout, stderr } = await cli([...args, "--json"], { cwd: folder.path });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return jsonLines(stdout);
}

describeBackends(
  "train, evaluate and predict",
  () => {
    test("repeat bit for bit, resume on the cpu, and agree with it", async () => {
      await makePhotos(join(folder.path, "photos"), 2, 5);
      const train = ["train", "photos", "--model", "relu-or-tanh", "--batch", "4", "--rate", "0.0001"];
      const [start] = await events(...train, ...GPU, "--epochs", "1", "--out", "gpu");
      const adapter = (await events("devices"))[0]!;
      expect(start!.device).toContain(adapter.name);
      await events(...train, ...GPU, "--epochs", "1", "--out", "again");
      const [a, b] = ["gpu", "again"].map((name) => readFileSync(join(folder.path, name, "last.safetensors")));
      expect(a!.equals(b!)).toBe(true);

      await events(...train, ...CPU, "--epochs", "1", "--out", "cpu");
      const losses = ["gpu", "cpu"].map((name) => (epochsOf(join(folder.path, name))[0] as any).val.loss);
      expect(Math.abs(losses[0] / losses[1] - 1)).toBeLessThan(1e-3);

      const on = async (device: string[]) => {
        const [evaluation] = await events("evaluate", "photos", "--model", "gpu", ...device);
        const [prediction] = await events("predict", "photos/c0/000.png", "--model", "gpu", ...device);
        return [evaluation!.loss, prediction!.classes[0].probability];
      };
      const [gpu, cpu] = [await on(GPU), await on(CPU)];
      gpu.forEach((value, i) => expect(value).toBeCloseTo(cpu[i]!, 4));

      await events("train", "--resume", "gpu", "--epochs", "2", ...CPU);
      expect(epochsOf(join(folder.path, "gpu")).map(({ epoch }) => epoch)).toEqual([1, 2]);
    });
  },
  ["wgpu"],
);
