/** `train --config FILE`: options out of a file. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alexnet2012, findNetwork } from "../../src/net/networks.ts";
import { makeConfig } from "../../src/runs/config.ts";
import { optionsOfRun } from "../../src/runs/repeat.ts";
import { TRAIN_OPTIONS } from "../../src/runs/train_options.ts";
import { readConfigFile } from "../../src/verbs/train/config_file.ts";
import { cli, epochsOf, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);

function read(name: string, contents: string) {
  writeFileSync(at(name), contents);
  return readConfigFile(at(name), TRAIN_OPTIONS);
}

test("TOML and JSON, names as on the command line or in a program", () => {
  const toml = `# a training\nepochs = 2\nhold_out = 0.2\nwarmup = "10steps"\nfreeze = ["conv1", "conv2"]\nblas = false\n`;
  const said = { epochs: 2, holdOut: 0.2, warmup: "10steps", freeze: "conv1,conv2", blas: false };
  expect(read("a.toml", `${toml}[loss-weights]\ncat = 2\n`)).toEqual({ ...said, lossWeights: { cat: 2 } });
  expect(read("a.json", JSON.stringify({ ...said, rate: null }))).toEqual(said);
  // A file is named as on the command line.
  writeFileSync(at("weights.json"), `{"cat": 3}`);
  expect(read("b.json", JSON.stringify({ weights: at("weights.json") }))).toEqual({ weights: { cat: 3 } });
});

test.each([
  ["lr = 3", 'there is no option "lr": here it is rate'],
  ["epochss = 3", 'there is no option "epochss"; did you mean "epochs"?'],
  ["nothing-like-it = 3", 'there is no option "nothing-like-it"; bun run train --help lists them'],
  ['epochs = "many"', 'epochs is "many", must be a number'],
  ["epochs = -1", "bad.toml: epochs -1: must be a whole number, at least 0"],
  ["epochs = ", "TOML Parse error"],
  ["loss-weights = { cat = -1 }", "must be a number, at least 0"],
])("%s is refused in a line that names the file", (line, message) => {
  expect(() => read("bad.toml", line)).toThrow(message);
  expect(() => read("bad.toml", line)).toThrow(at("bad.toml"));
});

test("a run's settings come back as they were, whatever the network's recipe says", () => {
  const network = findNetwork("alexnet-2012");
  const config = makeConfig(
    {
      ...{ rates: "conv*=0.1", freeze: "conv1,conv2", statistics: "frozen", warmup: 2, average: "ema", accumulate: 3 },
      ...{ lossWeights: "balanced", weights: { a: 2 }, balance: 0.5, schedule: "cosine", augment: "modern" },
      precision: "half",
      ...{ epochs: 7, minutes: 3, patience: 2, batch: 8, seed: 5, device: "cpu", threads: 1, limit: 30 },
    },
    network,
    "/data",
    "/val",
  );
  const options = optionsOfRun(JSON.parse(JSON.stringify(config)))!;
  expect(makeConfig(options, network, "/data", "/val")).toEqual(config);
  // What the recipe has and the run has not stays away.
  const warm = { ...alexnet2012, recipe: { ...alexnet2012.recipe, warmup: { epochs: 1 } } };
  const cold = makeConfig({ ...optionsOfRun({ ...config, warmup: undefined })! }, warm, "/data", "/val");
  expect(cold.warmup).toBeUndefined();
  // And the command line changes it.
  expect(makeConfig({ ...options, rate: 1 }, network, "/data", "/val").schedule).toEqual({ kind: "cosine", rate: 1 });
  expect(optionsOfRun({ epochs: 3 })).toBeUndefined();
});

describe("the command", () => {
  beforeAll(async () => void (await makePhotos(at("photos"), 2, 20)));
  const train = (...args: string[]) => cli(["train", ...args], { cwd: folder.path });
  const weights = (run: string) => readFileSync(at(`${run}/best.safetensors`)).toString("base64");

  test("trains by the file; the command line goes before it; a run's config.json trains the same again", async () => {
    writeFileSync(
      at("train.toml"),
      `model = "relu-or-tanh"\nbatch = 8\naccumulate = 2\nrate = 0.0001\ndevice = "cpu"\nthreads = 1\nepochs = 3\nwarmup = 1\nloss-weights = "balanced"\n`,
    );
    const first = await train("photos", "--config", "train.toml", "--epochs", "2", "--out", "first", "--quiet");
    expect(first.code, first.stderr).toBe(0);
    // Only the result.
    expect(first.stdout).toMatch(/^Done: [^\n]*\n$/);
    expect(epochsOf(at("first")).length).toBe(2);
    const again = await train("--config", "first/config.json", "--out", "again");
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toContain("2 batches of 8 a step");
    expect(weights("again")).toBe(weights("first"));
    const resumed = await train("--resume", "first", "--config", "train.toml");
    expect(resumed).toMatchObject({ code: 2, stderr: expect.stringContaining("--config is for new runs") });
  });

  test("weights in the loss, of classes that there are", async () => {
    const base = ["photos", ...TINY, "--epochs", "1", "--loss-weights", "weights.json", "--out"];
    writeFileSync(at("weights.json"), `{"cat": 3}`);
    const refused = await train(...base, "refused");
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/^error: --loss-weights names "cat", which is not a class of .*photos\n$/);
    // Only their proportions matter.
    writeFileSync(at("weights.json"), `{"c0": 2, "c1": 2}`);
    expect((await train(...base, "alike")).code).toBe(0);
    writeFileSync(at("weights.json"), `{"c0": 0}`);
    expect((await train(...base, "one")).code).toBe(0);
    expect((await train("photos", ...TINY, "--epochs", "1", "--out", "without")).code).toBe(0);
    expect(weights("alike")).toBe(weights("without"));
    expect(weights("one")).not.toBe(weights("without"));
  });

  test("the rate rises: the first epoch's is the last step's of it", async () => {
    const base = ["photos", ...TINY, "--epochs", "2", "--schedule", "constant"];
    const { code, stderr } = await train(...base, "--warmup", "9steps", "--out", "warm");
    expect(code, stderr).toBe(0);
    // 36 images are three steps of 16.
    expect(epochsOf(at("warm")).map(({ rate }) => rate)).toEqual([
      expect.closeTo(0.0001 / 3, 12),
      expect.closeTo(0.0002 / 3, 12),
    ]);
    const refused = await train(...base, "--warmup", "soon");
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toBe(
      "error: --warmup soon: must be a number of epochs, or a whole number of steps, as in 500steps\n",
    );
  });
});
