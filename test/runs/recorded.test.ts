/** Runs whose images were added to, removed, changed or moved since they began. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, DataError, UsageError } from "../../src/errors.ts";
import { openTrained, setsFor } from "../../src/inference/loaded_model.ts";
import type { StartRecord } from "../../src/runs/records.ts";
import { Run } from "../../src/runs/runs.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { features } from "../../src/verbs/features/features.ts";
import { similar } from "../../src/verbs/similar/similar.ts";
import { train } from "../../src/verbs/train/train.ts";
import { cli, epochsOf, TINY, tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const CPU = { device: "cpu", threads: 1 } as const;

beforeAll(async () => {
  await makePhotos(at("data"), 2, 20);
  await train({ ...tiny, data: at("data"), epochs: 1, out: at("run") });
});

/** Data of their own, and a run of one epoch on them, for each test: a copy of the one above, or one with options. */
let made = 0;
async function begun(options?: TrainOptions): Promise<{ readonly data: string; readonly run: string }> {
  const [data, run] = [at(`data-${++made}`), at(`run-${made}`)];
  await cp(at("data"), data, { recursive: true });
  if (options) await train({ ...tiny, data, epochs: 1, out: run, ...options });
  else {
    await cp(at("run"), run, { recursive: true });
    const own = new Run(run);
    await own.writeConfig({ ...own.readConfig(), data });
  }
  return { data, run };
}

/** More images of a class. */
async function add(data: string, names: readonly string[], label = 0): Promise<void> {
  await mkdir(join(data, `c${label}`), { recursive: true });
  for (const [i, name] of names.entries()) writeFileSync(join(data, `c${label}`, name), figurePng(label, 100 + i));
}

/** What a training said when it began, and warned of. */
async function went(options: TrainOptions) {
  let start: StartRecord | undefined;
  const warnings: string[] = [];
  const report = (event: TrainEvent) => {
    if (event.type === "start") start = event;
    if (event.type === "warning") warnings.push(event.line);
  };
  const result = await train({ ...options, onEvent: report });
  return { ...result, start: start!, warnings };
}

/** The names of the images in both parts, as the run sees them. */
async function partsOf(run: string) {
  using trained = await openTrained(run);
  await using sets = await setsFor(undefined, trained, () => {});
  const [names, val] = [sets.train, sets.val].map((set) => Array.from({ length: set.length }, (_, i) => set.nameOf(i)));
  return { train: names!, val: val!, changes: sets.changes };
}

const contents = (run: string) =>
  readdirSync(run).map((file) => [file, Bun.hash(readFileSync(join(run, file))).toString(16)]);
const weights = (run: string) => readFileSync(join(run, "last.safetensors"));

describe("images were added", () => {
  const names = ["0.png", "1.png", "900.png", "901.png", "902.png"];

  test("it is refused, and nothing changes", async () => {
    const { data, run } = await begun();
    await add(data, names);
    const before = contents(run);
    const error = await train({ resume: run, epochs: 2 }).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toBe(
      `the images in ${data} have changed since the run began (5 added; first c0/0.png of class "c0", which is new): ` +
        `restore them, begin a new run, or continue with the run's remaining images, divided into training and ` +
        `validation as before, with allowChangedData: true`,
    );
    expect(contents(run)).toEqual(before);
  });

  test("where that is allowed it ends with the bytes that it would have ended with", async () => {
    const { data, run } = await begun();
    await cp(run, at("same"), { recursive: true });
    await train({ resume: at("same"), epochs: 2 });
    await add(data, names);
    const { start, warnings } = await went({ resume: run, epochs: 2, allowChangedData: true });
    expect(start).toMatchObject({ train: 36, val: 4, classes: 2 });
    expect(warnings).toEqual([
      expect.stringMatching(/\(5 added; .*\): continuing with the run's remaining images, 36 to train on and 4 to val/),
    ]);
    expect(weights(run).equals(weights(at("same")))).toBe(true);
    expect(epochsOf(run)).toEqual(epochsOf(at("same")));
  });

  test("what is validated with stays what it was: nothing that was trained on", async () => {
    const { data, run } = await begun();
    const before = await partsOf(run);
    expect(before.changes).toBeUndefined();
    await add(data, names);
    const after = await partsOf(run);
    expect({ ...after, changes: undefined }).toEqual({ ...before, changes: undefined });
    expect(after.changes).toMatch(/\(5 added; .*\): using the run's remaining images, divided as before$/);
    // By chance alone it would be others.
    rmSync(new Run(run).imagesFile);
    expect((await partsOf(run)).val).not.toEqual(before.val);
  });

  test("in a class of their own", async () => {
    const { data, run } = await begun();
    await add(data, names, 9);
    await expect(train({ resume: run, epochs: 2 })).rejects.toThrow('first c9/0.png of class "c9", which is new');
    const { start } = await went({ resume: run, epochs: 2, allowChangedData: true });
    expect(start).toMatchObject({ train: 36, val: 4, classes: 2 });
  });

  test("with --fraction and --limit", async () => {
    const { data, run } = await begun({ fraction: 0.5, limit: 15 });
    const before = await partsOf(run);
    expect([before.train.length, before.val.length]).toEqual([15, 2]);
    await add(data, names);
    expect(await partsOf(run)).toMatchObject({ train: before.train, val: before.val });
  });
});

describe("images were removed", () => {
  test("it goes on without them, where that is allowed, from within an epoch too", async () => {
    const { run } = await begun({ batch: 4 });
    const controller = new AbortController();
    const stop = (event: TrainEvent) => void (event.type === "step" && event.batch === 8 && controller.abort());
    expect(await train({ resume: run, epochs: 3, onEvent: stop, signal: controller.signal })).toMatchObject({
      interrupted: true,
    });
    const { train: images, val } = await partsOf(run);
    for (const name of [...images.slice(0, 16), val[0]!]) rmSync(name);
    await expect(train({ resume: run })).rejects.toThrow(
      /began \(17 removed; first c0\/\d+\.png of class "c0", which is gone\)/,
    );
    const { start, interrupted } = await went({ resume: run, allowChangedData: true });
    expect(interrupted).toBe(false);
    expect(start).toMatchObject({ train: 20, val: 3 });
    expect(epochsOf(run).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(await partsOf(run)).toMatchObject({ train: images.slice(16), val: val.slice(1) });
  });

  test("all of one part: there is nothing to go on with", async () => {
    const { run } = await begun();
    const { val } = await partsOf(run);
    for (const name of val) rmSync(name);
    const message = /\(4 removed; .*\), and none of the run's images is left to validate with/;
    await expect(train({ resume: run, epochs: 2, allowChangedData: true })).rejects.toThrow(message);
    await expect(evaluate({ ...CPU, model: run })).rejects.toThrow(message);
  });
});

test("class folders were exchanged", async () => {
  const { data, run } = await begun();
  for (const [from, to] of [
    ["c0", "c"],
    ["c1", "c0"],
    ["c", "c1"],
  ] as const)
    renameSync(join(data, from), join(data, to));
  await expect(train({ resume: run, epochs: 2 })).rejects.toThrow(
    /began \(\d+ changed; first c0\/\d+\.png of class "c0", which has/,
  );
});

test("a list in another order ends with the same bytes", async () => {
  const data = at("listed");
  await makePhotos(data, 2, 20);
  const rows = ["c0", "c1"].flatMap((name) => readdirSync(join(data, name)).map((file) => `${name}/${file},${name}`));
  const write = (lines: readonly string[]) =>
    writeFileSync(join(data, "list.csv"), `path,label\n${lines.join("\n")}\n`);
  write(rows);
  const options = { ...tiny, data: join(data, "list.csv"), augment: "mirror,colour", schedule: "constant" };
  await train({ ...options, epochs: 2, out: at("list-whole") });
  await train({ ...options, epochs: 1, out: at("list") });
  write(rows.toReversed());
  const { warnings } = await went({ resume: at("list"), epochs: 2 });
  expect(warnings).toEqual([]);
  expect(weights(at("list")).equals(weights(at("list-whole")))).toBe(true);
});

describe("data that have moved", () => {
  test("are named anew, and the run remembers where", async () => {
    const { data, run } = await begun();
    await cp(run, at("unmoved"), { recursive: true });
    await train({ resume: at("unmoved"), epochs: 2 });
    renameSync(data, at("elsewhere"));
    const gone = `no such file or folder: ${data}, which the run has its images from: put it back, or name its new place: bun run train --resume ${run} DATA`;
    await expect(train({ resume: run, epochs: 2 })).rejects.toThrow(gone);
    await expect(evaluate({ ...CPU, model: run })).rejects.toThrow(gone);
    await train({ resume: run, data: at("elsewhere"), epochs: 2 });
    expect(new Run(run).readConfig().data).toBe(at("elsewhere"));
    expect(weights(run).equals(weights(at("unmoved")))).toBe(true);
    expect((await partsOf(run)).changes).toBeUndefined();
  });

  test("and what they are validated with", async () => {
    const val = await makePhotos(at("val-here"), 2, 3);
    const { data, run } = await begun({ val });
    renameSync(val, at("val-there"));
    await expect(train({ resume: run })).rejects.toThrow(
      /no such file or folder: .*val-here, .* --resume .* DATA --val VAL$/,
    );
    await train({ resume: run, val: at("val-there"), epochs: 2 });
    expect(new Run(run).readConfig()).toMatchObject({ data, val: at("val-there") });
  });

  test("but others than they were are refused", async () => {
    const { run } = await begun();
    const other = await makePhotos(at("other"), 2, 19);
    const before = contents(run);
    await expect(train({ resume: run, data: other })).rejects.toThrow(
      `the images in ${other} have changed since the run began (2 removed; first c0/019.png of class "c0", which is gone)`,
    );
    expect(contents(run)).toEqual(before);
  });

  test("what can't be", async () => {
    await train({ model: "small", epochs: 1, limit: 100, ...CPU, out: at("drawn") });
    expect(existsSync(new Run(at("drawn")).imagesFile)).toBe(false);
    const { data, run } = await begun();
    const cases: readonly (readonly [TrainOptions, RegExp])[] = [
      [{ resume: at("drawn"), data }, /begun with the built-in set/],
      [{ resume: run, val: data }, /the run was begun without, and must be resumed without it/],
      [{ data, allowChangedData: true }, /allowChangedData/],
    ];
    for (const [options, message] of cases) {
      const error = await train(options).catch((failure: unknown) => failure);
      expect(error).toBeInstanceOf(UsageError);
      expect((error as Error).message).toMatch(message);
    }
  });
});

describe("a run that was begun before its images were kept", () => {
  test("goes on as it did, and keeps them from then on", async () => {
    const { data, run } = await begun();
    rmSync(new Run(run).imagesFile);
    expect((await went({ resume: run, epochs: 2 })).warnings).toEqual([]);
    expect(existsSync(new Run(run).imagesFile)).toBe(true);
    await add(data, ["900.png"]);
    await expect(train({ resume: run, epochs: 3 })).rejects.toThrow(/\(1 added; /);
  });

  test("says so where their number is another", async () => {
    const { data, run } = await begun();
    rmSync(new Run(run).imagesFile);
    await add(data, ["900.png"]);
    expect((await went({ resume: run, epochs: 2 })).warnings).toEqual([
      `${data} has 37 images to train on and 4 to validate with, but the run began with 36 and 4: a run this ` +
        `old has no record of which images those were`,
    ]);
  });

  test("takes other data for its own, with a warning", async () => {
    const { run } = await begun();
    rmSync(new Run(run).imagesFile);
    const other = await makePhotos(at("unknown"), 2, 20);
    expect((await went({ resume: run, data: other, epochs: 2 })).warnings).toEqual([
      `${other} is assumed to hold the images that the run was trained on: a run this old has no record of which images those were`,
    ]);
  });

  test("names the class that it does not know, or lacks", async () => {
    const { data, run } = await begun();
    rmSync(new Run(run).imagesFile);
    await add(data, ["1.png", "2.png"], 9);
    await expect(train({ resume: run })).rejects.toThrow(/trained on 2 classes, the data has 3: "c9" is new: put/);
    renameSync(join(data, "c9"), join(data, "c1", "c9"));
    renameSync(join(data, "c1"), join(data, "c7"));
    const error = await train({ resume: run }).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(/trained on 2 classes, the data has 2: "c1" is missing, "c7" is new: put/);
  });
});

test("a damaged record of the images is an error, and nothing changes", async () => {
  const { run } = await begun();
  const { imagesFile } = new Run(run);
  const whole = readFileSync(imagesFile);
  for (const bytes of [
    whole.subarray(0, -9),
    whole.subarray(0, 40),
    Buffer.from("text"),
    Bun.gzipSync("{}\n"),
    Buffer.alloc(0),
  ]) {
    writeFileSync(imagesFile, bytes);
    const before = contents(run);
    const error = await train({ resume: run, epochs: 2 }).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(
      /images\.jsonl\.gz can't be used: .*: if the images are still .*delete this file/,
    );
    expect((error as Error).message).not.toContain("\n");
    expect(contents(run)).toEqual(before);
  }
});

describe("evaluate, features and similar", () => {
  let data: string;
  let run: string;
  let before: Awaited<ReturnType<typeof evaluate>>;

  beforeAll(async () => {
    ({ data, run } = await begun());
    before = await evaluate({ ...CPU, model: run });
    await add(data, ["0.png", "900.png"]);
  });

  test("use the images that the run was validated with, and say what has changed", async () => {
    const after = await evaluate({ ...CPU, model: run });
    expect(before.changes).toBeUndefined();
    expect(after.changes).toMatch(/have changed since the run began \(2 added; first c0\/0\.png/);
    expect(after).toMatchObject({ total: before.total, confusion: before.confusion });
  });

  test("have the images that the run was trained on", async () => {
    const made = await features({ ...CPU, model: run, out: at("features.npy") });
    expect(made).toMatchObject({ images: 36, changes: expect.stringContaining("2 added") });
    const found = await similar({ ...CPU, model: run, images: [join(data, "c0", "900.png")] });
    expect(found).toMatchObject({ images: 36, changes: expect.stringContaining("2 added") });
  });

  test("as commands they warn", async () => {
    const options = { cwd: folder.path };
    for (const args of [["evaluate"], ["features"], ["similar", join(data, "c0", "0.png")]]) {
      const { code, stderr } = await cli([...args, "--model", run, "--device", "cpu", "--threads", "1"], options);
      expect(stderr).toMatch(
        /^warning: the images in .* have changed since the run began \(2 added; .*divided as before\n/m,
      );
      expect(code).toBe(0);
    }
  });
});

test("the command: refused with exit code 1, and allowed", async () => {
  const { data, run } = await begun();
  await add(data, ["0.png"]);
  const resume = ["train", "--resume", run, "--epochs", "2"];
  const refused = await cli(resume, { cwd: folder.path });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^error: the images in [^\n]*--allow-changed-data\n$/);
  const allowed = await cli([...resume, "--allow-changed-data"], { cwd: folder.path });
  expect(allowed.code).toBe(0);
  expect(allowed.stderr).toMatch(/^warning: the images in [^\n]*: continuing with the run's remaining [^\n]*\n$/);
  const begins = await cli(["train", data, ...TINY, "--allow-changed-data"], { cwd: folder.path });
  expect(begins.code).toBe(2);
});
