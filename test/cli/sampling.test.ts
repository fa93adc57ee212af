/** `train --fraction, --limit, --balance, --weights`: wrong values, what is saved of them, and resuming. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cli, epochsOf, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const options = { cwd: folder.path };
const path = (...names: string[]) => join(folder.path, ...names);
const TRAIN = ["train", "photos", ...TINY, "--schedule", "constant"];

beforeAll(async () => {
  await makePhotos(path("photos"), 3, 16);
  writeFileSync(path("weights.json"), '{"c0": 3, "c2": 0.5}');
});

describe("refused in one line", () => {
  beforeAll(() => {
    writeFileSync(path("list.json"), "[1, 2]");
    writeFileSync(path("text.json"), "c0: 3");
    writeFileSync(path("negative.json"), '{"c0": -1}');
    writeFileSync(path("words.json"), '{"c0": "3"}');
    writeFileSync(path("unknown.json"), '{"cat": 3}');
    writeFileSync(path("none.json"), '{"c0": 0, "c1": 0, "c2": 0}');
  });

  test.each([
    ["--fraction", "0", 2, "--fraction 0: must be above 0 and at most 1"],
    ["--fraction", "1.5", 2, "--fraction 1.5: must be above 0 and at most 1"],
    ["--fraction", "half", 2, "--fraction half: must be a number"],
    ["--limit", "0", 2, "--limit 0: must be a whole number above 0"],
    ["--limit", "2.5", 2, "--limit 2.5: must be a whole number above 0"],
    ["--balance", "-0.1", 2, "--balance -0.1: must be from 0 to 1"],
    ["--balance", "2", 2, "--balance 2: must be from 0 to 1"],
    ["--weights", "missing.json", 2, "--weights missing.json: no such file or folder"],
    ["--weights", "list.json", 2, '--weights list.json: must hold class names and numbers, as in {"cat": 2}'],
    ["--weights", "text.json", 2, /^--weights text\.json: .*JSON/],
    ["--weights", "negative.json", 2, '--weights: "c0" has -1: must be a number, at least 0'],
    ["--weights", "words.json", 2, '--weights: "c0" has "3": must be a number, at least 0'],
    ["--weights", "unknown.json", 1, /^--weights names "cat", which is not a class of .*photos/],
    ["--weights", "none.json", 1, /^--weights leaves no image of .*photos: all classes with images have weight 0$/],
  ] as const)("%s %s", async (option, value, exitCode, message) => {
    const { code, stdout, stderr } = await cli([...TRAIN, option, value, "--out", "refused"], options);
    expect(stderr).toMatch(/^error: [^\n]*\n$/);
    const said = stderr.slice("error: ".length, -1);
    if (typeof message === "string") expect(said).toBe(message);
    else expect(said).toMatch(message);
    expect(code).toBe(exitCode);
    if (exitCode === 2) expect(stdout).toBe("");
    expect(existsSync(path("refused"))).toBe(false);
  });
});

test("are saved in config.json, decide what is seen, and hold for a resumed run", async () => {
  const parts = ["--fraction", "0.75", "--limit", "30", "--balance", "0.5", "--weights", "weights.json"];
  const run = async (...args: string[]) => {
    const ended = await cli(args, options);
    expect([ended.stderr, ended.code]).toEqual(["", 0]);
    return ended.stdout;
  };
  const started = await run(...TRAIN, ...parts, "--epochs", "2", "--out", "whole", "--json");
  expect(JSON.parse(started.split("\n")[0]!)).toMatchObject({ type: "start", train: 30 });
  const config = (name: string) => JSON.parse(readFileSync(path(name, "config.json"), "utf8"));
  expect(config("whole")).toMatchObject({
    ...{ fraction: 0.75, limit: 30, balance: 0.5, weights: { c0: 3, c2: 0.5 } },
  });
  await run(...TRAIN, ...parts, "--epochs", "1", "--out", "broken");
  const refused = await cli(["train", "--resume", "broken", "--balance", "1"], options);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toStartWith("error: --balance can't be changed when a run is resumed");
  await run("train", "--resume", "broken", "--epochs", "2");
  expect(config("broken")).toMatchObject({ fraction: 0.75, limit: 30, balance: 0.5, weights: { c0: 3, c2: 0.5 } });
  const weights = (name: string) => readFileSync(path(name, "last.safetensors"));
  expect(weights("broken").equals(weights("whole"))).toBe(true);
  expect(epochsOf(path("broken"))).toEqual(epochsOf(path("whole")));
  // The weights have an effect: without them the training differs.
  await run(...TRAIN, "--fraction", "0.75", "--limit", "30", "--epochs", "2", "--out", "even");
  expect(epochsOf(path("even"))).not.toEqual(epochsOf(path("whole")));
});
