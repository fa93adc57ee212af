/** A network whose parts are on several ranks learns as one that is whole: the same losses, the same weights saved. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cli, jsonLines } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { CPU, missing, onRanks } from "../support/mpi.ts";
import { stepLosses } from "../support/steps.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const cpu = [...CPU, "--json"];
const train = (size: number, args: readonly string[]) => onRanks(size, ["train", ...args], folder.path);

function largestDifference(found: readonly number[], expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  return Math.max(...found.map((loss, i) => Math.abs(loss - expected[i]!)));
}

describe.skipIf(missing !== undefined)(`split networks${missing ? ` (skipped: ${missing})` : ""}`, () => {
  // Crops, mirror images, colours, and dropout between the parts; 20 images an epoch fill the last of two batches in part.
  const short = [
    ...["--augment", "paper", "--rate", "0.00001", "--schedule", "constant", "--batch", "12", "--limit", "20"],
    ...cpu,
  ];
  const losses = (stdout: string) => stepLosses(stdout, 12, 20);
  const u32s = new Map<string, readonly number[]>();

  async function whole(model: string): Promise<readonly number[]> {
    const known = u32s.get(model);
    if (known) return known;
    const { code, stdout, stderr } = await cli(
      ["train", ...short, "--model", model, "--epochs", "3", "--out", model],
      options,
    );
    expect(code, stderr).toBe(0);
    const found = losses(stdout);
    u32s.set(model, found);
    return found;
  }

  test.each([
    ["towers", 2, "small"],
    ["owt", 2, "alexnet-cifar-no-lrn"],
  ] as const)("%s over %i ranks: %s", async (split, size, model) => {
    const args = [...short, "--model", model, "--split", split, "--epochs", "3", "--out", `${split}-${size}-${model}`];
    const { code, stdout, stderr } = await train(size, args);
    expect(code, stderr).toBe(0);
    expect(largestDifference(losses(stdout), await whole(model))).toBeLessThan(1e-5);
  });

  test.each([
    ["towers", 2, "alexnet-cifar-no-lrn"],
    ["owt", 4, "alexnet-cifar"],
  ] as const)("%s over %i ranks, in turn with one alone: %s", async (split, size, model) => {
    const out = `${split}-${size}-${model}`;
    const args = [...short, "--model", model, "--split", split, "--out", out];
    const { code, stdout, stderr } = await train(size, [...args, "--epochs", "1"]);
    expect(code, stderr).toBe(0);
    // What the parts saved together goes on as a whole, and the other way round.
    const one = await cli(["train", "--resume", out, "--split", "none", "--epochs", "2", "--json"], options);
    expect(one.code, one.stderr).toBe(0);
    const again = await train(size, ["--resume", out, "--split", split, "--epochs", "3", "--json"]);
    expect(again.code, again.stderr).toBe(0);
    const found = [stdout, one.stdout, again.stdout].flatMap(losses);
    expect(largestDifference(found, await whole(model))).toBeLessThan(1e-5);
  });

  test("images that are mixed across the borders of shares", async () => {
    const args = [...short, "--augment", "modern", "--model", "alexnet-cifar-no-lrn", "--epochs", "2"];
    const one = await cli(["train", ...args, "--out", "mixed-one"], options);
    expect(one.code, one.stderr).toBe(0);
    for (const split of ["owt", "towers"]) {
      const { code, stdout, stderr } = await train(2, [...args, "--split", split, "--out", `mixed-${split}`]);
      expect(code, stderr).toBe(0);
      expect(largestDifference(losses(stdout), losses(one.stdout)), split).toBeLessThan(1e-5);
    }
    // It does matter who is mixed with whom.
    const plain = ["train", ...args, "--augment", "modern,mixup=0,cutmix=0", "--out", "plain"];
    expect(largestDifference(losses((await cli(plain, options)).stdout), losses(one.stdout))).toBeGreaterThan(0.01);
  });

  test("an optimizer that needs whole matrices is refused", async () => {
    const args = [...short, "--model", "small", "--optimizer", "muon", "--split", "towers", "--out", "never"];
    const { code, stderr } = await train(2, args);
    expect(code).toBe(2);
    expect(stderr).toContain("--split towers: muon needs each matrix whole, and the ranks would have parts");
    expect(existsSync(join(folder.path, "never"))).toBe(false);
  });

  test("the network of 2012, and the bytes that its halves send", async () => {
    const args = [
      "--model",
      "alexnet-2012",
      "--rate",
      "0.00001",
      "--batch",
      "4",
      "--limit",
      "8",
      "--epochs",
      "1",
      ...cpu,
    ];
    const one = await cli(["train", ...args, "--out", "one"], options);
    expect(one.code, one.stderr).toBe(0);
    const { code, stdout, stderr } = await train(2, [...args, "--split", "towers", "--out", "two"]);
    expect(code, stderr).toBe(0);
    expect(largestDifference(stepLosses(stdout), stepLosses(one.stdout))).toBeLessThan(1e-4);
    // Of each image half of what conv3, fc6 and fc7 read, there and back; half of what fc8 reads, there; and two numbers
    // a step: whether a rank wants to stop, or to save.
    const halves = [256 * 13 * 13, 256 * 6 * 6, 4096].map((features) => 2 * (features / 2));
    const perImage = 4 * (halves.reduce((sum, half) => sum + half) + 4096 / 2);
    const epoch = jsonLines(stdout).find(({ type }) => type === "epoch")!;
    expect(epoch.sentBytes).toBe(4 * perImage + 8);
  });

  test.each([
    [3, ["--split", "towers"], "--split towers is for two ranks, and there were 3"],
    [1, ["--split", "towers"], "--split towers is for two ranks, and there was one"],
    [1, ["--split", "owt"], "--split owt is for several ranks, and there was one"],
    [2, ["--split", "owt", "--batch", "13"], "--batch 13: --split owt on 2 ranks needs a multiple of 2 images a step"],
    [1, ["--split", "tower"], "--split tower: must be towers, owt or none"],
  ] as const)("refused on %i ranks: %p", async (size, args, text) => {
    const all = ["--model", "small", ...cpu, ...args, "--out", "never"];
    const { code, stderr } = size === 1 ? await cli(["train", ...all], options) : await train(size, all);
    expect(stderr).toContain(text);
    expect(code).toBe(2);
    expect(existsSync(join(folder.path, "never"))).toBe(false);
  });
});
