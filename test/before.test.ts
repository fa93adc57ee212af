/**
 * Runs, checkpoints and packs that earlier versions wrote are read: those in fixtures/before are of commit 9e10aa0. What is
 * made of them, a report and an index, has the bytes that it had then.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cli, jsonLines } from "./support/cli.ts";
import { temporaryFolder } from "./support/folders.ts";
import { figurePng } from "./support/images.ts";
import { tensorsOf } from "./support/tensors.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const CPU = ["--device", "cpu", "--blas", "off", "--threads", "1"];

const sha256 = (of: string | Uint8Array) => new Bun.CryptoHasher("sha256").update(of).digest("hex");

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

test("an index is made of the same vectors and the same sketch", async () => {
  const cache = join(folder.path, "cache");
  const args = ["similar", "figure.png", "--in", "pack", "--model", "run", ...CPU];
  const { code, stderr } = await cli(args, { ...options, env: { ALEXNET_CACHE: cache } });
  expect(code, stderr).toBe(0);
  const index = join(cache, "features", readdirSync(join(cache, "features"))[0]!);
  expect(readdirSync(index).sort()).toEqual(["index.safetensors", "vectors.npy"]);
  expect(sha256(readFileSync(join(index, "vectors.npy")))).toBe(
    "6e10381e9d4987ffb472738c562ee3c41100f30d9d2f4e21795fc2026bd94cd2",
  );
  expect(tensorsOf(join(index, "index.safetensors"))).toBe(
    "5986841d1a4282463754e153b9e10564eded9825643e4bf3816f34352b5d6716",
  );
});

test("a run has its report drawn, and goes on to the same bytes", async () => {
  expect(await cli(["report", "run"], options)).toMatchObject({ code: 0, stderr: "" });
  // Its charts and filters; the words around them may change.
  const page = readFileSync(join(folder.path, "run", "report.html"), "utf8");
  const pictures = page.match(/<svg[^]*?<\/svg>|src="data:[^"]*"/g)!;
  expect(pictures.length).toBe(20);
  expect(sha256(pictures.join("\n"))).toBe("5eea12e21dca9a7e5097a33b7214355793899d89c109132e4d8e862bae05e99b");
  const { code, stderr } = await cli(["train", "--resume", "run", "--epochs", "2"], options);
  expect(code, stderr).toBe(0);
  expect(tensorsOf(join(folder.path, "run", "last.safetensors"))).toBe(
    "116433db1e4175599bfc4a62c387c2e40e232bb3e6e168bc1db6b50908470fd1",
  );
});
