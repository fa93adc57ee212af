/** Every command reports what it ignored: to people on standard error, to programs in JSON. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { cli, jsonLines, TINY } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

// Processes are slow on a busy machine.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);

beforeAll(async () => {
  await makePhotos(at("photos"), 2, 10);
  await writeFiles(at("photos"), { "c0/1.heic": "x", "c1/2.heic": "x", "c0/@eaDir/1.jpg": "x", "test1/1.txt": "x" });
  const { code } = await cli(["train", "photos", ...TINY, "--epochs", "1", "--out", "run"], { cwd: folder.path });
  expect(code).toBe(0);
});

const MODEL = ["--model", "run", "--device", "cpu", "--threads", "1"];
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  train: ["train", "photos", ...TINY, "--epochs", "1", "--out", "again"],
  evaluate: ["evaluate", "photos", ...MODEL],
  features: ["features", "photos", ...MODEL],
  look: ["look", "photos", "--images", "1", "--threads", "1"],
  pack: ["pack", "photos", "packed", "--side", "24"],
  predict: ["predict", "photos", ...MODEL],
  similar: ["similar", at("photos", "c0", "000.png"), "--in", "photos", ...MODEL],
};

test.each(Object.keys(COMMANDS))("%s", async (name) => {
  const args = COMMANDS[name]!;
  const options = { cwd: folder.path, env: { ALEXNET_CACHE: at("cache") } };
  const people = await cli(args, options);
  expect(people.code).toBe(0);
  const lines = people.stderr
    .trimEnd()
    .split("\n")
    .map((line) => line.replaceAll("\\", "/"));
  expect(lines.filter((line) => line.startsWith("ignored: "))).toEqual([
    "ignored: 1 file that is not an image (photos/test1/1.txt)",
    "ignored: 2 images in unsupported formats (photos/c0/1.heic, …)",
    "ignored: 1 hidden or system item (photos/c0/@eaDir)",
  ]);
  expect(people.stdout).not.toContain("ignored: ");

  const fresh = args.map((arg) => (arg === "again" || arg === "packed" ? `${arg}-2` : arg));
  const programs = await cli([...fresh, "--json"], options);
  expect([programs.code, programs.stderr]).toEqual([0, ""]);
  // Commands with a line per image or step print remarks as lines of their own.
  const printed = jsonLines(programs.stdout);
  const remarks = printed.flatMap((line) => line["remarks"] ?? (line["type"] === "remark" ? [line] : []));
  expect(remarks.map(({ kind, count }) => [kind, count])).toEqual([
    ["other file", 1],
    ["other format", 2],
    ["hidden", 1],
  ]);
  expect(remarks[1].example.replaceAll("\\", "/")).toEndWith("photos/c0/1.heic");
});

test("classes named like splits are a warning", async () => {
  await makePhotos(at("parts", "train1"), 2, 3);
  await makePhotos(at("parts", "test1"), 2, 3);
  const { stderr } = await cli(["train", "parts", ...TINY, "--epochs", "1", "--out", "third"], { cwd: folder.path });
  expect(stderr.replaceAll("\\", "/")).toStartWith(
    "warning: 2 classes named like splits (parts/test1, …): if they are splits, name them train and val\n",
  );
});
