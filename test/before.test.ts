/** Runs, checkpoints and packs that earlier versions wrote are read: those in fixtures/before are of commit 9e10aa0. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cli, figurePng, jsonLines, temporaryFolder } from "./support/cli.ts";
import { tensorsOf } from "./support/tensors.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const CPU = ["--device", "cpu", "--blas", "off", "--threads", "1"];

beforeAll(() => {
  cpSync(fileURLToPath(new URL("fixtures/before/", import.meta.url)), folder.path, { recursive: true });
  // A run names its data by their absolute path.
  const path = join(folder.path, "run", "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as { data: string; val: string };
  writeFileSync(path, JSON.stringify({ ...config, data: join(folder.path, "pack"), val: join(folder.path, "pack") }));
});

test("a checkpoint answers as it did, on a pack of its time", async () => {
  const { code, stdout, stderr } = await cli(["evaluate", "pack", "--model", "run", "--json", ...CPU], options);
  expect(code, stderr).toBe(0);
  expect(jsonLines(stdout)[0]).toMatchObject({
    ...{ images: 30, loss: 2.5840527979471664, top1: 0.4 },
    confusion: [[0, 0, 10], [1, 0, 5], [1, 2, 5], [2, 0, 2], [2, 2, 8]],
  }); // prettier-ignore
  writeFileSync(join(folder.path, "figure.png"), figurePng(0, 0));
  const predicted = await cli(["predict", "figure.png", "--model", "run", "--json", ...CPU], options);
  expect(jsonLines(predicted.stdout)[0]).toMatchObject({ classes: [{ name: "c0" }, { name: "c2" }, { name: "c1" }] });
});

test("a run has its report drawn, and goes on to the same bytes", async () => {
  expect(await cli(["report", "run"], options)).toMatchObject({ code: 0, stderr: "" });
  const { code, stderr } = await cli(["train", "--resume", "run", "--epochs", "2"], options);
  expect(code, stderr).toBe(0);
  expect(tensorsOf(join(folder.path, "run", "last.safetensors"))).toBe(
    "116433db1e4175599bfc4a62c387c2e40e232bb3e6e168bc1db6b50908470fd1",
  );
});
