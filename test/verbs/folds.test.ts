/** Cross-validation: what is held out in each fold, what is trained, and what comes out. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { nameWithin } from "../../src/data/dataset.ts";
import { openDataset } from "../../src/data/open.ts";
import { DataError, UsageError } from "../../src/errors.ts";
import type { Means } from "../../src/runs/records.ts";
import { Run } from "../../src/runs/runs.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { crossValidate } from "../../src/verbs/train/folds.ts";
import { train } from "../../src/verbs/train/train.ts";
import { cli, epochsOf, jsonLines, tiny, TINY } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const data = at("photos");

/** Classes of 7, 7 and 1 images. */
beforeAll(async () => {
  await makePhotos(data, 2, 7);
  await writeFiles(join(data, "c2"), { "000.png": figurePng(2, 0) });
});

test("every image is held out once, but for one that is alone in its class; each fold has its share", async () => {
  for (const folds of [2, 3, 5]) {
    const held: string[] = [];
    for (let fold = 1; fold <= folds; fold++) {
      await using sets = await openDataset(data, { fold: [fold, folds], seed: 4 });
      const names = Array.from({ length: sets.val.length }, (_, i) => nameWithin(sets.val, i));
      expect(sets.train.length).toBe(15 - names.length);
      for (const label of ["c0", "c1"]) {
        const own = names.filter((name) => name.startsWith(label)).length;
        expect(own).toBeWithin(Math.floor(7 / folds), Math.ceil(7 / folds) + 1);
      }
      held.push(...names);
    }
    expect(held.length).toBe(14);
    expect(new Set(held).size).toBe(14);
    expect(held).not.toContain("c2/000.png");
  }
});

test("a run for each fold, and their mean and standard deviation", async () => {
  const found = (await crossValidate({ ...tiny, data, epochs: 1, folds: 2, out: at("two") }))!;
  expect(found.folds.map(({ run, images }) => [run, images])).toEqual([
    ["fold-1", 7],
    ["fold-2", 7],
  ]);
  const [a, b] = found.folds.map(({ run }) => 1 - (epochsOf(at("two", run))[0]!.val as Means).top1) as [number, number];
  expect(found.folds.map(({ accuracy }) => accuracy)).toEqual([a, b]);
  expect(found.mean).toBeCloseTo((a + b) / 2, 12);
  expect(found.deviation).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 12);
  const { folder, ...rest } = found;
  expect(folder).toBe(at("two"));
  expect(JSON.parse(readFileSync(at("two", "folds.json"), "utf8"))).toEqual(rest);

  // A fold is evaluated on its own part, and resumed with it.
  const run = at("two", "fold-2");
  expect(new Run(run).readConfig().fold).toEqual([2, 2]);
  const { images, wrong1 } = (await evaluate({ model: run, device: "cpu", threads: 1 })).total;
  expect([images, 1 - wrong1 / images]).toEqual([7, b]);
  await train({ resume: run, epochs: 2 });
  expect(epochsOf(run).length).toBe(2);
});

test("as a command: a heading and a table, or JSON", async () => {
  const args = ["train", data, ...TINY, "--epochs", "1", "--folds", "2"];
  const { stdout } = await cli([...args, "--out", "shown"], { cwd: folder.path });
  expect(stdout.match(/^Fold \d of 2$/gm)).toEqual(["Fold 1 of 2", "Fold 2 of 2"]);
  expect(stdout).toMatch(/\nfold  validation images  accuracy\n   1                  7     [ \d]\d\.\d%\n/);
  expect(stdout).toMatch(
    /\nOn average \d+\.\d% are classified correctly, with a standard deviation of \d+\.\d%: shown\n$/,
  );
  const json = jsonLines((await cli([...args, "--json"], { cwd: folder.path })).stdout);
  expect(json.at(-1)).toMatchObject({
    type: "folds",
    folder: at("runs", "folds-1"),
    folds: [{ images: 7 }, { images: 7 }],
  });
});

test("refused: a validation set, a resumed run, more folds than images; nothing is left behind", async () => {
  await cp(data, at("parts", "train"), { recursive: true });
  await cp(data, at("parts", "val"), { recursive: true });
  const options = { ...tiny, data, folds: 3, out: at("refused") };
  for (const [more, error, message] of [
    [{ val: data }, UsageError, /^folds 3 divides the images itself, for new runs: leave out val$/],
    [{ resume: "latest" }, UsageError, /leave out resume$/],
    [{ holdOut: 0.2 }, UsageError, /leave out holdOut$/],
    [{ data: at("parts") }, UsageError, /parts has validation images of its own \(.*val\), so it can't be divided/],
    [{ data: undefined }, UsageError, /^folds is for your own images/],
    [{ folds: 21 }, UsageError, /folds 21: must be a whole number from 2 to 20$/],
    [{ folds: 20 }, DataError, /photos has 14 images in classes of two or more, too few for 20 folds$/],
  ] as const) {
    const thrown = await crossValidate({ ...options, ...more }).catch((refusal: unknown) => refusal);
    expect(thrown).toBeInstanceOf(error);
    expect((thrown as Error).message).toMatch(message);
    expect(existsSync(options.out)).toBe(false);
  }
});
