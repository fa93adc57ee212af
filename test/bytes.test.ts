/**
 * The same seed ends in the same bytes: in WebAssembly alone (--blas off), on every machine, and from one version of this
 * program to the next. What is hashed here was made at commit 9e10aa0, but for the first, from 03bc299, where Winograd's
 * blocks are smaller and so gradients are summed in another order. A change that means to alter it says so.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cli } from "./support/cli.ts";
import { temporaryFolder } from "./support/folders.ts";
import { makePhotos } from "./support/images.ts";
import { missing, onRanks } from "./support/mpi.ts";
import { tensorsOf } from "./support/tensors.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const CPU = ["--device", "cpu", "--blas", "off", "--threads", "1"];

const filesOf = (name: string) => {
  const hash = new Bun.CryptoHasher("sha256");
  for (const file of readdirSync(join(folder.path, name)).sort()) {
    if (/\.(shard|npy)$/.test(file)) hash.update(file).update(readFileSync(join(folder.path, name, file)));
  }
  return hash.digest("hex");
};

async function train(out: string, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await cli(["train", ...args, ...CPU, "--out", out], options);
  expect(code, stderr).toBe(0);
  return tensorsOf(join(folder.path, out, "last.safetensors"));
}

async function trainTogether(out: string, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await onRanks(2, ["train", ...args, ...CPU, "--out", out], folder.path);
  expect(code, stderr).toBe(0);
  return tensorsOf(join(folder.path, out, "last.safetensors"));
}

const DRAWN = ["--limit", "400", "--epochs", "2"];
const MIXED = ["--limit", "100", "--epochs", "2", "--batch", "32"];

describe("a training ends in the same weights", () => {
  test("small, on the built-in set", async () => {
    expect(await train("small", "--model", "small", ...DRAWN)).toBe(
      "4e3b9add3f9996f6a83e2ea1bce88cd5c476887285ae20ed83990a34b584f03c",
    );
  });

  test("a network of 2012's parts on photos, augmented as they are today", async () => {
    const photos = await makePhotos(join(folder.path, "photos"), 3, 40);
    const args = ["--model", "alexnet-cifar", "--augment", "modern,crop", ...MIXED];
    expect(await train("cifar", photos, ...args)).toBe(
      "c6418383c9f781cc75312d24c2bcb0805af33cb7da9ea81366ca2bd9b87d56ec",
    );
  });

  test.skipIf(missing !== undefined)("shared by two ranks", async () => {
    expect(await trainTogether("shared", "--model", "small", ...MIXED)).toBe(
      "30e91bd448b1b418c8b18b01dcde562b0608211a6fe8bf04f109e8be11d7289e",
    );
  });

  test.skipIf(missing !== undefined)("split in two halves", async () => {
    const args = ["--model", "alexnet-cifar-no-lrn", "--split", "towers", ...MIXED];
    expect(await trainTogether("towers", ...args)).toBe(
      "53bedeba65d5ea061324e6bb37c24099ca2a9ce9d3768437e3cf6276cb89fc78",
    );
  });
});

describe("what is made of a set, and of weights", () => {
  test("a pack", async () => {
    await makePhotos(join(folder.path, "to-pack"), 3, 40);
    // The names of the images, as they were given, are in the pack.
    const { code, stderr } = await cli(["pack", "to-pack", "packed", "--side", "32", "--as", "raw"], options);
    expect(code, stderr).toBe(0);
    expect(filesOf("packed")).toBe("cfc66b9ad15f7ac82bfa51301d068cbc3c4b04a8fedac583eae9c19718b2b4ce");
  });

  test("an ONNX file", async () => {
    const { code, stderr } = await cli(["export", "cifar10", "--as", "onnx", "--out", "net"], options);
    expect(code, stderr).toBe(0);
    const file = readFileSync(join(folder.path, "net.onnx"));
    expect(new Bun.CryptoHasher("sha256").update(file).digest("hex")).toBe(
      "e2ce2ec2ff6384fde7fcb84f7c32f7a52eba1606b73f2fd3584da4713528138c",
    );
  });
});
