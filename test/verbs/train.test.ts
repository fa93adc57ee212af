/** `train()`: repeatability, interruptions, resumed runs, losses that become NaN. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { copyFile, cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createLoader } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import { CheckpointError, DataError, DivergedError, UsageError } from "../../src/errors.ts";
import { LockedError } from "../../src/io/lock.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { freshSchedule, rateAt } from "../../src/net/schedule.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { train, trainWatched } from "../../src/verbs/train/train.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import { epochsOf, tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const data = join(folder.path, "photos");
/** Three epochs in one go, of 81 images in batches of 16. */
const whole = join(folder.path, "whole");
const constant = { one: join(folder.path, "constant-one"), whole: join(folder.path, "constant-whole") };
const [EPOCHS, STEPS] = [3, 6];
/** Every kind of randomness, which resuming must draw again. */
const options = { ...tiny, data, epochs: EPOCHS, augment: "mirror,colour" };

beforeAll(async () => {
  await makePhotos(data, 3, 30);
  await train({ ...options, out: whole });
  // With a rate that does not depend on the number of epochs.
  await train({ ...options, schedule: "constant", epochs: 1, out: constant.one });
  await train({ ...options, schedule: "constant", out: constant.whole });
});

const bytes = (run: string, file: "last" | "last.previous" | "best" = "last") =>
  readFileSync(join(run, `${file}.safetensors`));
const run = (name: string) => join(folder.path, name);

function expectSame(actual: string, expected = whole, more: readonly string[] = []): void {
  expect(bytes(actual).equals(bytes(expected))).toBe(true);
  expect(bytes(actual, "best").equals(bytes(expected, "best"))).toBe(true);
  expect(epochsOf(actual)).toEqual(epochsOf(expected));
  const files = [
    ...["best.safetensors", "config.json", "confusion.json", "images.jsonl.gz"],
    ...["last.previous.safetensors", "last.safetensors", "lock", "log.jsonl", "report.html", "start.json"],
  ];
  expect(readdirSync(actual).sort()).toEqual([...files, ...more].sort());
}

const onceAnEpoch = (event: TrainEvent) => event.type === "step" && event.batch === 2;

/** Trains until `stop` holds for an event, then resumes, as often as it takes. */
async function interrupted(name: string, stop: (event: TrainEvent) => boolean, changes: TrainOptions = {}) {
  let options_: TrainOptions = { ...options, ...changes, out: run(name) };
  for (let interruptions = 0; ; interruptions++) {
    const controller = new AbortController();
    const report = (event: TrainEvent) => void (stop(event) && controller.abort());
    const result = await train({ ...options_, onEvent: report, signal: controller.signal });
    if (!result.interrupted) return interruptions;
    expect(result.val).toBeUndefined();
    options_ = { resume: run(name) };
  }
}

describe("the same bytes", () => {
  test("for the same seed", async () => {
    await train({ ...options, out: run("again") });
    expectSame(run("again"));
  });

  test("not for another", async () => {
    await train({ ...options, seed: 1, out: run("other"), epochs: 1 });
    expect(epochsOf(run("other"))[0]!.train).not.toEqual(epochsOf(whole)[0]!.train);
  });
});

test("a checkpoint's mean image is that of the images it was trained on", async () => {
  const { train: photos, val } = await openDataset(data);
  expect(photos.length).toBe(81);
  const sums = new Float64Array(32 * 32 * 3);
  for await (const { pixels, valid } of createLoader(photos, { batch: 81, recordSize: 32 })) {
    expect(valid).toBe(81);
    for (const [i, value] of pixels.entries()) sums[i % sums.length]! += value;
  }
  await Promise.all([photos.close(), val.close()]);
  const checkpoint = openCheckpoint(join(whole, "last.safetensors"));
  expect(checkpoint.mean).toEqual(Float32Array.from(sums, (sum) => sum / 81));
  checkpoint.close();
});

describe("interrupted and resumed, a run ends with the same bytes", () => {
  test("stopped in the middle of the second epoch", async () => {
    let stopped = false;
    const times = await interrupted("middle", (event) => {
      if (stopped || event.type !== "step" || event.epoch !== 2 || event.batch !== 2) return false;
      return (stopped = true);
    });
    expect(times).toBe(1);
    expectSame(run("middle"));
  });

  test("stopped after every other step", async () => {
    // Each call takes the step reported and the one queued after it.
    const times = await interrupted("steps", (event) => event.type === "step");
    expect(times).toBe(EPOCHS * Math.ceil(STEPS / 2));
    expectSame(run("steps"));
  });

  test("stopped during a validation, which then starts again", async () => {
    const changes = { batch: 4, epochs: 1 };
    await train({ ...options, ...changes, out: run("validation-whole") });
    let stopped = false;
    const times = await interrupted(
      "validation",
      (event) => !stopped && event.type === "validate" && (stopped = event.done < event.total),
      changes,
    );
    expect(times).toBe(1);
    expectSame(run("validation"), run("validation-whole"));
  });

  test("stopped while the mean image is measured: config.json and the images' names are enough", async () => {
    const controller = new AbortController();
    const stop = (event: TrainEvent) => void (event.type === "measure" && controller.abort());
    const result = await train({ ...options, out: run("measure"), onEvent: stop, signal: controller.signal });
    expect(result).toEqual({ run: run("measure"), interrupted: true, history: [] });
    expect(readdirSync(run("measure")).sort()).toEqual(["config.json", "images.jsonl.gz", "lock"]);
    await train({ resume: run("measure") });
    expectSame(run("measure"));
  });

  test("broken off between the writes at the end of an epoch", async () => {
    for (const saves of [1, 2, 3, 4]) {
      let seen = 0;
      // Like a kill: without a save.
      const breakOff = ({ type }: TrainEvent) => {
        if (type === "saved" && ++seen === saves) throw new Error("broken off");
      };
      const out = run(`broken-${saves}`);
      await expect(train({ ...options, out, onEvent: breakOff })).rejects.toThrow("broken off");
      await train({ resume: out });
      expectSame(out);
    }
  });

  test("with a schedule that depends on the errors so far", async () => {
    const changes = { schedule: "plateau", epochs: 2 };
    await train({ ...options, ...changes, out: run("plateau-whole") });
    expect(await interrupted("plateau", onceAnEpoch, changes)).toBe(2);
    expectSame(run("plateau"), run("plateau-whole"));
    const { state } = openCheckpoint(join(run("plateau"), "last.safetensors"));
    expect((state as { schedule: { best: number } }).schedule.best).toBeNumber();
  });

  test("with mixup, cutmix and label smoothing", async () => {
    const changes = { augment: "modern", epochs: 2 };
    await train({ ...options, ...changes, out: run("modern-whole") });
    expect(await interrupted("modern", onceAnEpoch, changes)).toBe(2);
    expectSame(run("modern"), run("modern-whole"));
    expect(epochsOf(run("modern"))[0]!.train).not.toEqual(epochsOf(whole)[0]!.train);
  });

  test("begun before resized crops and the like existed", async () => {
    const out = run("before");
    const stop = ({ type }: TrainEvent) => {
      if (type === "epoch") throw new Error("broken off");
    };
    await expect(train({ ...options, out, onEvent: stop })).rejects.toThrow("broken off");
    const path = join(out, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    const { crop, mirror, colour, sharedCrop, divideBy } = config.augmentation;
    writeFileSync(path, JSON.stringify({ ...config, augmentation: { crop, mirror, colour, sharedCrop, divideBy } }));
    await train({ resume: out });
    expectSame(out);
  });

  test("for more epochs than at first", async () => {
    await cp(constant.one, run("longer"), { recursive: true });
    await train({ resume: run("longer"), epochs: EPOCHS });
    expectSame(run("longer"), constant.whole);
  });

  test("a run that is done says so, and stays as it is", async () => {
    const before = bytes(whole);
    expect(await train({ resume: whole })).toMatchObject({ run: whole, interrupted: false });
    expect(bytes(whole).equals(before)).toBe(true);
    expectSame(whole);
  });

  test("files that a kill left half written are removed", async () => {
    await cp(whole, run("killed"), { recursive: true });
    writeFileSync(join(run("killed"), "last.safetensors.4711.tmp"), "half");
    writeFileSync(join(run("killed"), "log.jsonl"), `${readFileSync(join(whole, "log.jsonl"), "utf8")}{"step":16,"ep`);
    await train({ resume: run("killed") });
    expectSame(run("killed"));
  });
});

describe("a damaged save: the one before it is used, to the same end", () => {
  const cases: Record<string, (bytes: Buffer) => Uint8Array | undefined> = {
    missing: () => undefined,
    empty: () => new Uint8Array(0),
    "cut short": (bytes) => bytes.subarray(0, bytes.length / 2),
    "zeros where the disk never wrote": (bytes) => Uint8Array.from(bytes).fill(0, bytes.length - 65536),
    "a bit of a weight turned": (bytes) => turned(bytes, bytes.length - 100),
    "a bit of the state turned": (bytes) => turned(bytes, bytes.indexOf('\\"epoch\\":3') + 10),
    "a bit of its length turned": (bytes) => turned(bytes, 0),
  };
  const turned = (bytes: Buffer, at: number) => {
    const copy = Uint8Array.from(bytes);
    copy[at]! ^= 1;
    return copy;
  };
  for (const [title, damage] of Object.entries(cases)) {
    test(title, async () => {
      const own = run(`damaged ${title}`);
      await cp(whole, own, { recursive: true });
      const damaged = damage(bytes(own));
      if (damaged) writeFileSync(join(own, "last.safetensors"), damaged);
      else rmSync(join(own, "last.safetensors"));
      const events: TrainEvent[] = [];
      await train({ resume: own, onEvent: (event) => events.push(event) });
      const warnings = events.filter((event) => event.type === "warning").map(({ line }) => line);
      expect(warnings).toEqual([expect.stringMatching(/last\.safetensors: .*: going on from the save before it$/)]);
      const start = events.find((event) => event.type === "start");
      expect(start).toMatchObject({ from: { epoch: EPOCHS - 1, batch: 0 } });
      expectSame(own);
      expect(bytes(own, "last.previous").equals(bytes(whole, "last.previous"))).toBe(true);
    });
  }

  test("a run from before checksums and previous saves resumes", async () => {
    const own = run("old");
    await cp(constant.one, own, { recursive: true });
    const file = openSafetensors(join(own, "last.safetensors"));
    const tensors = [...file.tensors].map(([name, { shape, read }]) => ({ name, shape, values: read() }));
    file.close();
    const sizes = tensors.map(({ values }) => values.byteLength);
    const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
    const entries = tensors.map(({ name, shape }, i) => [
      name,
      { dtype: "F32", shape, data_offsets: [starts[i]!, starts[i]! + sizes[i]!] },
    ]);
    const header = Buffer.from(JSON.stringify({ __metadata__: file.metadata, ...Object.fromEntries(entries) }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const numbers = tensors.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    writeFileSync(join(own, "last.safetensors"), Buffer.concat([length, header, ...numbers]));
    await train({ resume: own, epochs: EPOCHS });
    expectSame(own, constant.whole);
  });
});

describe("one training per folder", () => {
  test("another one is refused during training, but not after", async () => {
    const own = run("locked");
    let tried = 0;
    const watcher = {
      async afterStep() {
        if (tried++ > 0) return;
        await expect(train({ resume: own })).rejects.toThrow(LockedError);
        await expect(train({ resume: own })).rejects.toThrow(
          /locked is in use by process \d+ on .*, since .* UTC: wait until it ends, or stop it$/,
        );
      },
    };
    await trainWatched({ ...options, out: own }, [watcher]);
    expect(tried).toBeGreaterThan(0);
    expectSame(own);
    expect(await train({ resume: own })).toMatchObject({ interrupted: false });
  });
});

describe("a run that can't be resumed: the error says why, and nothing changes", () => {
  /** Copies the run, changes something, and expects an error. */
  async function refused(name: string, spoil: (run: string) => void, error: Function, message: RegExp) {
    await cp(whole, run(name), { recursive: true });
    spoil(run(name));
    const contents = () =>
      readdirSync(run(name)).map((file) => [file, readFileSync(join(run(name), file)).toString("hex")]);
    const before = contents();
    const failure = await train({ resume: run(name) }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(error);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain("\n");
    expect(contents()).toEqual(before);
  }

  test("its checkpoint is truncated, and so is the one before", () =>
    refused(
      "cut",
      (run) => {
        for (const file of ["last", "last.previous"] as const) {
          writeFileSync(join(run, `${file}.safetensors`), bytes(run, file).subarray(0, -4));
        }
      },
      CheckpointError,
      /last\.safetensors: cut short: .*; .*last\.previous\.safetensors: cut short: .*: begin a new run, with from: /,
    ));

  test("its only checkpoint is damaged", () =>
    refused(
      "only",
      (run) => {
        rmSync(join(run, "last.previous.safetensors"));
        writeFileSync(join(run, "last.safetensors"), Uint8Array.from(bytes(run)).fill(0, 9000, 9999));
      },
      CheckpointError,
      /last\.safetensors: damaged: .*; there is no save before it: begin a new run/,
    ));

  test("its checkpoint is of another network", async () => {
    await train({ ...options, model: "small", epochs: 1, out: run("small") });
    const spoil = (to: string) => writeFileSync(join(to, "last.safetensors"), bytes(run("small")));
    await refused("network", spoil, CheckpointError, /a checkpoint of small, the run is of relu-or-tanh/);
  });

  test("its checkpoint has no velocities", () =>
    refused(
      "velocities",
      (run) => writeFileSync(join(run, "last.safetensors"), bytes(run, "best")),
      CheckpointError,
      /velocity\.conv1\.weight is missing/,
    ));

  test("its config.json is damaged", () =>
    refused(
      "config",
      (run) => writeFileSync(join(run, "config.json"), "{}"),
      CheckpointError,
      /config\.json: network undefined: must be text/,
    ));

  test("the data have other classes", async () => {
    const moved = join(folder.path, "moved");
    await cp(data, moved, { recursive: true });
    await train({ ...options, data: moved, epochs: 1, out: run("moved-run") });
    await mkdir(join(moved, "c9"));
    for (const name of ["a.png", "b.png"]) await copyFile(join(data, "c0", "000.png"), join(moved, "c9", name));
    const before = bytes(run("moved-run"));
    const failure = await train({ resume: run("moved-run") }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DataError);
    expect((failure as Error).message).toMatch(/2 added; first c9\/a\.png of class "c9", which is new/);
    expect(bytes(run("moved-run")).equals(before)).toBe(true);
  });

  test("changed or invalid settings", async () => {
    await expect(train({ resume: whole, rate: 1 })).rejects.toThrow(/rate can't be changed/);
    await expect(train({ resume: whole, holdOut: 0.5 })).rejects.toThrow(/holdOut can't be changed/);
    await expect(train({ resume: whole, epochs: 1.5 })).rejects.toThrow(UsageError);
    await expect(train({ resume: run("nowhere") })).rejects.toThrow(UsageError);
    expectSame(whole);
  });
});

describe("a loss that becomes NaN", () => {
  test("before anything was saved", async () => {
    const failure = await train({ ...options, rate: 1e9, out: run("diverged") }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DivergedError);
    expect((failure as Error).message).toMatch(
      /epoch 1, step \d+, at a learning rate of 1000000000.*Nothing had been saved/,
    );
    expect(readdirSync(run("diverged")).sort()).toEqual(["config.json", "images.jsonl.gz", "lock", "start.json"]);
  });

  test("later: the last save is good", async () => {
    // The second epoch starts with ten million times the tiny rate.
    const out = run("later");
    await train({ ...options, out, epochs: 1 });
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    writeFileSync(join(out, "config.json"), JSON.stringify({ ...config, schedule: { kind: "constant", rate: 1e9 } }));
    const before = bytes(out);
    const failure = await train({ resume: out, epochs: 2 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DivergedError);
    expect((failure as Error).message).toContain(`The last save is good: ${join(out, "last.safetensors")}`);
    expect(bytes(out).equals(before)).toBe(true);
    const { total } = await evaluate({ model: out, device: "cpu", threads: 1 });
    expect(total.images).toBe(9);
    expect(total.loss).toBeFinite();
  });
});

test("a rate chosen for few classes is kept when the run resumes", async () => {
  const { rate: _, ...others } = options;
  const rates: number[] = [];
  const report = (event: TrainEvent) => void (event.type === "start" && rates.push(event.rate));
  await train({ ...others, epochs: 1, out: run("rate"), onEvent: report });
  await train({ resume: run("rate"), epochs: 2, onEvent: report });
  const { schedule } = findNetwork(tiny.model).recipe;
  expect(rates[0]).toBeLessThan(rateAt(schedule, freshSchedule(), 0, 1));
  expect(rates[1]).toBe(rates[0]!);
  expect(epochsOf(run("rate")).map(({ rate }) => rate)).toEqual(rates);
});

test("the smallest possible set: two images of each of two classes", async () => {
  await makePhotos(join(folder.path, "smallest"), 2, 2);
  const { val } = await train({ ...options, data: join(folder.path, "smallest"), out: run("smallest-run") });
  expect(val!.loss).toBeFinite();
  expect(epochsOf(run("smallest-run")).map(({ step }) => step)).toEqual([1, 2, 3]);
});

describe("images that can't be used", () => {
  test("a few are skipped, counted once and named, in training and in validation", async () => {
    const spoiled = join(folder.path, "spoiled");
    await cp(data, join(spoiled, "train"), { recursive: true });
    await cp(data, join(spoiled, "val"), { recursive: true });
    const png = readFileSync(join(data, "c0", "003.png"));
    writeFileSync(join(spoiled, "train", "c0", "003.png"), png.subarray(0, png.length / 2));
    writeFileSync(join(spoiled, "train", "c1", "004.jpg"), "not an image");
    writeFileSync(join(spoiled, "val", "c2", "005.png"), "");
    const events: TrainEvent[] = [];
    await train({ ...options, data: spoiled, out: run("spoiled"), onEvent: (event) => events.push(event) });
    const bad = events.filter((event) => event.type === "bad").map(({ name }) => name.slice(spoiled.length));
    expect(bad.sort()).toEqual(["/train/c0/003.png", "/train/c1/004.jpg", "/val/c2/005.png"]);
    expect(epochsOf(run("spoiled")).length).toBe(EPOCHS);
    // A resumed run measures no mean image, so it meets them later; others take their places all the same.
    expect(await interrupted("spoiled-steps", onceAnEpoch, { data: spoiled })).toBe(EPOCHS);
    // Its validation images are its training images.
    expectSame(run("spoiled-steps"), run("spoiled"), ["duplicates.json"]);
  });

  test("a validation split of nothing else is an error, not a loss of NaN", async () => {
    const blind = join(folder.path, "blind");
    await cp(data, join(blind, "train"), { recursive: true });
    for (const label of ["c0", "c1", "c2"]) {
      await mkdir(join(blind, "val", label), { recursive: true });
      writeFileSync(join(blind, "val", label, "a.png"), "no");
    }
    const failure = await train({ ...options, data: blind, out: run("blind-run") }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DataError);
    expect((failure as Error).message).toMatch(/val: none of its 3 images can be used, first .*\/val\/c\d\/a\.png: /);
  });

  test("too many are an error that names the first", async () => {
    const spoiled = join(folder.path, "ruined");
    await cp(data, spoiled, { recursive: true });
    for (let i = 0; i < 15; i++) writeFileSync(join(spoiled, "c0", `${String(i).padStart(3, "0")}.png`), "no");
    const failure = await train({ ...options, data: spoiled, out: run("ruined-run") }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DataError);
    expect((failure as Error).message).toMatch(
      /1\d of the 81 images of .* can't be used, first .*ruined\/c0\/0\d\d\.png/,
    );
    expect(existsSync(join(run("ruined-run"), "last.safetensors"))).toBe(false);
  });
});
