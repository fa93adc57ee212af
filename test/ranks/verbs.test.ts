/** Evaluation, features and packing by several ranks give what one gives. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cli, jsonLines, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { CPU, missing, onRanks } from "../support/mpi.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const together = (size: number, args: readonly string[]) => onRanks(size, args, folder.path);

async function both(args: readonly string[], ranksArgs = args) {
  const one = await cli(args, options);
  expect(one.code, one.stderr).toBe(0);
  const three = await together(3, ranksArgs);
  expect(three.code, three.stderr).toBe(0);
  const [a, b] = [one, three].map(({ stdout }) => jsonLines(stdout));
  // Only rank 0 says something.
  expect(b!.length).toBe(1);
  return [a![0]!, b![0]!] as const;
}

const bytes = (name: string) => readFileSync(join(folder.path, name));

describe.skipIf(missing !== undefined)(`work of several ranks${missing ? ` (skipped: ${missing})` : ""}`, () => {
  beforeAll(async () => {
    const photos = await makePhotos(join(folder.path, "photos"), 3, 13);
    // The second image of a class can't be used: rows behind it move up.
    const [first] = readdirSync(photos).sort();
    const broken = readdirSync(join(photos, first!)).sort()[1]!;
    writeFileSync(join(photos, first!, broken), "no image");
    const { code, stderr } = await cli(["train", photos, ...TINY, "--epochs", "1", "--out", "run"], options);
    expect(code, stderr).toBe(0);
  });

  test("evaluate", async () => {
    const args = ["evaluate", "photos", "--model", "run", "--batch", "4", "--json", ...CPU];
    const [one, three] = await both([...args, "--out", "one"], [...args, "--out", "three"]);
    expect(three.images).toBe(38);
    expect(three.bad).toEqual(one.bad);
    expect(three.bad.length).toBe(1);
    for (const key of ["images", "top1", "top5", "classes", "confusion"]) expect(three[key]).toEqual(one[key]);
    expect(three.loss).toBeCloseTo(one.loss, 5);
    expect(three.device).toStartWith("3 ranks (");
    expect(bytes("three/confusion.csv").equals(bytes("one/confusion.csv"))).toBe(true);
  });

  test("features: the same rows in the same order", async () => {
    const args = ["features", "photos", "--model", "run", "--batch", "4", "--json", ...CPU];
    const [one, three] = await both([...args, "--out", "one.npy"], [...args, "--out", "three.npy"]);
    expect(three.images).toBe(38);
    expect(three.bad).toEqual(one.bad);
    expect(bytes("three.csv").equals(bytes("one.csv"))).toBe(true);
    const [a, b] = ["one.npy", "three.npy"].map((name) => bytes(name));
    expect(b!.length).toBe(a!.length);
    const [x, y] = [a, b].map((file) => new Float32Array(Uint8Array.from(file!.subarray(128)).buffer));
    expect(x!.some((value) => value !== 0)).toBe(true);
    for (const [i, value] of y!.entries()) expect(Math.abs(value - x![i]!)).toBeLessThan(1e-4);
  });

  test("pack: the same bytes", async () => {
    const args = ["--side", "32", "--shard", "4", "--threads", "1", "--json"];
    const [one, three] = await both(["pack", "photos", "one-pack", ...args], ["pack", "photos", "three-pack", ...args]);
    expect(three.packed).toBe(one.packed);
    const files = readdirSync(join(folder.path, "one-pack")).filter((name) => !name.startsWith("lock"));
    expect(files.filter((name) => name.endsWith(".shard")).length).toBe(10);
    for (const name of files) {
      expect(bytes(`three-pack/${name}`).equals(bytes(`one-pack/${name}`)), name).toBe(true);
    }
    const again = await together(2, ["pack", "photos", "three-pack", ...args]);
    expect(again.code, again.stderr).toBe(0);
    expect(jsonLines(again.stdout)[0]!.packed).toBe(0);
    rmSync(join(folder.path, "three-pack"), { recursive: true });
  });

  test("what fails ends all", async () => {
    const { code, stderr, seconds } = await together(2, ["evaluate", "nowhere", "--model", "run", ...CPU]);
    expect(code).not.toBe(0);
    expect(stderr).toContain("nowhere");
    expect(seconds).toBeLessThan(60);
  });
});
