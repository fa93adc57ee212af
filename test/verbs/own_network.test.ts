/** A network defined in a file of its own: training, resuming, export and import. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineNetwork } from "../../src/net/definition.ts";
import { batchNorm, conv, fc, relu, residual } from "../../src/net/layers/index.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openSafetensors, writeSafetensors } from "../../src/weights/safetensors.ts";
import { cli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { tensorsOf } from "../support/tensors.ts";

setDefaultTimeout(60_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...path: readonly string[]) => join(folder.path, ...path);
const CPU = ["--device", "cpu", "--threads", "1", "--blas", "off"];

const FILE = `
export default ({ conv, batchNorm, relu, residual, fc }: any) => ({
  about: "mine",
  crop: 16,
  recipe: { epochs: 1, batch: 8, schedule: { kind: "constant", rate: 0.0001 } },
  layers: (classes: number) => [
    [conv("conv1", 4, 3, { pad: 1, stride: 2, sigma: 0.05 }), relu()],
    residual("block1", [conv("block1.conv", 4, 3, { pad: 1, sigma: 0.05 }), batchNorm("block1.bn")]),
    fc("fc", classes, { sigma: 0.05 }),
  ],
});
`;

async function run(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(args, { cwd: folder.path });
  expect(code, stderr).toBe(0);
  return stdout;
}

beforeAll(async () => {
  await makePhotos(at("photos"), 2, 12);
  writeFileSync(at("mine.ts"), FILE);
  await run("train", "photos", "--model", "mine.ts", ...CPU, "--out", "run");
  // From here on the weights must suffice without the file.
  rmSync(at("mine.ts"));
});

test("the run resumes, and its weights predict, without the file", async () => {
  await run("train", "--resume", "run", "--epochs", "2");
  const evaluated = JSON.parse(await run("evaluate", "--model", "run", "--json", ...CPU)) as { images: number };
  expect(evaluated.images).toBeGreaterThan(0);
  await run("features", "photos", "--model", "run", "--layer", "block1", ...CPU, "--out", "features.npy");
  expect(await run("predict", "photos", "--model", "run", ...CPU)).toMatch(/%/);
});

test("resumed, it ends with the same weights and running means as in one go", async () => {
  writeFileSync(at("whole.ts"), FILE);
  await run("train", "photos", "--model", "whole.ts", "--epochs", "2", ...CPU, "--out", "whole");
  const saved = openSafetensors(at("whole", "last.safetensors")).tensors;
  expect(
    saved
      .get("block1.bn.running_mean")!
      .read()
      .some((value) => value !== 0),
  ).toBe(true);
  expect(tensorsOf(at("run", "last.safetensors"))).toBe(tensorsOf(at("whole", "last.safetensors")));
});

test("another training starts from its weights", async () => {
  await makePhotos(at("other"), 3, 8);
  await run("train", "other", "--from", "run", ...CPU, "--out", "tuned");
  const config = JSON.parse(readFileSync(at("tuned", "config.json"), "utf8")) as Record<string, unknown>;
  expect(config).toMatchObject({
    network: "mine",
    groups: [],
    definition: { name: "mine", crop: 16 },
  });
});

test("exported and imported they are the same", async () => {
  await run("export", "run", "--as", "safetensors", "--out", "net");
  await run("import", "net.safetensors", "--mean", "net.mean.npy", "--out", "imported");
  const { tensors } = openSafetensors(at("imported", "best.safetensors"));
  const own = openSafetensors(at("run", "best.safetensors")).tensors;
  for (const [name, tensor] of own) expect(tensors.get(name)!.read(), name).toEqual(tensor.read());
});

test("the library takes the network itself, and reaches the same weights", async () => {
  const network = defineNetwork(
    {
      ...{ about: "mine", crop: 16 },
      recipe: { epochs: 1, batch: 8, schedule: { kind: "constant", rate: 0.0001 } },
      layers: (classes) => [
        [conv("conv1", 4, 3, { pad: 1, stride: 2, sigma: 0.05 }), relu()],
        residual("block1", [conv("block1.conv", 4, 3, { pad: 1, sigma: 0.05 }), batchNorm("block1.bn")]),
        fc("fc", classes, { sigma: 0.05 }),
      ],
    },
    "mine",
  );
  const options = { data: at("photos"), device: "cpu", threads: 1, blas: false } as const;
  await train({ ...options, model: network, out: at("library") });
  writeFileSync(at("again.ts"), FILE);
  await run("train", "photos", "--model", "again.ts", ...CPU, "--out", "again");
  expect(tensorsOf(at("library", "last.safetensors"))).toBe(tensorsOf(at("again", "last.safetensors")));
});

test("weights whose tensors don't match the network are refused before memory is allocated", async () => {
  const { tensors, metadata } = openSafetensors(at("run", "best.safetensors"));
  const definition = metadata["definition"]!.replaceAll('"filters":4', '"filters":400000000');
  expect(definition).not.toBe(metadata["definition"]!);
  const all = [...tensors].map(([name, { shape, read }]) => ({ name, shape, read: async () => read() }));
  await writeSafetensors(at("large.safetensors"), all, { ...metadata, definition });
  const { code, stderr } = await cli(["predict", "photos", "--model", "large.safetensors"], { cwd: folder.path });
  expect(stderr).toMatch(
    /^error: large\.safetensors: conv1\.weight is 4 × 3 × 3 × 3, the model needs 400000000 × 3 × 3 × 3\n$/,
  );
  expect(code).toBe(1);
});
