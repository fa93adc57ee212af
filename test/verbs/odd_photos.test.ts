/** Photos as people have them: odd, unreadable or few of them; and too little time, or no network. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataError } from "../../src/errors.ts";
import { readHistory } from "../../src/runs/history.ts";
import { Run } from "../../src/runs/runs.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { predict, type Prediction } from "../../src/verbs/predict/predict.ts";
import { train, trainWatched } from "../../src/verbs/train/train.ts";
import { cli, tiny } from "../support/cli.ts";
import { temporaryFolder, writeFiles } from "../support/folders.ts";
import { drawn, figurePng, makePhotos, withOrientation } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const { model: _, ...device } = tiny;

/** A trained network of other classes, in the place of ImageNet's. */
beforeAll(async () => {
  await train({ ...tiny, data: await makePhotos(at("source-photos"), 4, 5), epochs: 1, out: at("source") });
});

async function tuned(name: string, options: TrainOptions) {
  const events: TrainEvent[] = [];
  const onEvent = (event: TrainEvent) => void events.push(event);
  const result = await train({ ...device, from: at("source"), out: at(name), ...options, onEvent });
  return { result, events };
}

const figures = (label: number, images: number) =>
  Object.fromEntries(Array.from({ length: images }, (_, i) => [`c${label}/${i}.png`, figurePng(label, i)] as const));

test("without a network and without pretrained weights: one line, with the way to do without; nothing is begun", async () => {
  const photo = await drawn(80, 80, (x, y) => [x, y, x + y]).png();
  await writeFiles(at("photos"), { "a/1.png": photo, "a/2.png": photo, "b/1.png": photo, "b/2.png": photo });
  const env = { ALEXNET_OFFLINE: "1", ALEXNET_CACHE: at("no cache") };
  const { code, stdout, stderr } = await cli(["train", "photos", "--device", "cpu"], { cwd: folder.path, env });
  expect([code, stdout]).toEqual([1, ""]);
  const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
  expect(errors).toEqual([
    expect.stringMatching(
      /^error: can't fetch EfficientNet-Lite0, .*ALEXNET_OFFLINE is set.*: try again when there is a network, or put .*\.pth into .*no cache.*; or train from scratch, which takes hours: --from none$/,
    ),
  ]);
  expect(existsSync(at("runs"))).toBe(false);
});

test("no photo that can be read: one line that names the first", async () => {
  const text = Object.fromEntries(["a/1", "a/2", "a/3", "b/1", "b/2"].map((name) => [`${name}.jpg`, "no image"]));
  await writeFiles(at("texts"), text);
  const training = tuned("unread", { data: at("texts") });
  await expect(training).rejects.toThrow(DataError);
  await expect(training).rejects.toThrow(/texts.*: none of its 2 images can be used, first .*\/\d\.jpg: [^\n]*$/);
  expect(existsSync(at("unread", "best.safetensors"))).toBe(false);
});

test("too little time for all photos: the last layer learns from some of them, and it says so", async () => {
  await makePhotos(at("many"), 2, 40);
  const { result, events } = await tuned("short", { data: at("many"), minutes: 1e-9 });
  const head = events.find((event) => event.type === "head")!;
  // A batch is always done.
  expect(head).toMatchObject({ images: 16, of: 72, views: 1 });
  expect(events.find((event) => event.type === "plan")).toMatchObject({ epochs: 0 });
  expect(readHistory(new Run(at("short"))).epochs.map(({ epoch }) => epoch)).toEqual([0]);
  expect(result).toMatchObject({ interrupted: false, validated: 8, phases: { lastLayer: result.bestError } });
  const { stdout } = await cli(
    ["train", "many", "--from", "source", "--minutes", "1e-9", "--device", "cpu", "--threads", "1", "--out", "said"],
    { cwd: folder.path },
  );
  expect(stdout).toContain("The last layer first, on features of 32 of the 72 images: there was no time for more:\n");
  expect(stdout).toContain("There is no time left for an epoch of the whole network.\n");
});

test("ended between the last layer and the choice of epochs: resumed, it keeps to its minutes", async () => {
  const data = await makePhotos(at("ended-photos"), 2, 20);
  // As a kill there, or a GPU that is lost.
  const afterEpoch = () => Promise.reject(new Error("ended"));
  const call = { ...device, data, from: at("source"), out: at("ended"), minutes: 1e-9 };
  await expect(trainWatched(call, [{ afterEpoch }])).rejects.toThrow("ended");
  const run = new Run(at("ended"));
  expect([run.readStart()!.minutes, readHistory(run).epochs.length]).toEqual([1e-9, 1]);
  const events: TrainEvent[] = [];
  const result = await train({ resume: at("ended"), onEvent: (event) => void events.push(event) });
  expect(events.find((event) => event.type === "start")).toMatchObject({ minutes: 1e-9, from: { epoch: 0 } });
  expect(events.find((event) => event.type === "plan")).toMatchObject({ epochs: 0 });
  // The layer is not trained again.
  expect(events.some((event) => event.type === "head")).toBe(false);
  expect(result.history.map(({ epoch }) => epoch)).toEqual([0]);
  expect([run.readConfig().epochs, run.readStart()!.minutes]).toEqual([0, undefined]);
});

test("classes of one to five photos: each keeps one to learn from and, from two, gives one to validate with", async () => {
  await writeFiles(at("few"), Object.assign({}, ...[1, 2, 3, 4, 5].map((images, label) => figures(label, images))));
  const { result, events } = await tuned("few-run", { data: at("few"), epochs: 1 });
  expect(events.find((event) => event.type === "start")).toMatchObject({ train: 11, val: 4, classes: 5 });
  expect(result).toMatchObject({ interrupted: false, validated: 4 });
  expect(new Set(new Run(at("few-run")).readConfusion()!.entries.map(([label]) => label))).toEqual(
    new Set([1, 2, 3, 4]),
  );
});

test("a single pixel, a strip, photos taken sideways: all of them are used", async () => {
  const colour = (x: number, y: number) => [(5 * x) % 256, (7 * y) % 256, 90] as const;
  const jpeg = await drawn(60, 40, colour).jpeg(90);
  const odd = {
    "odd/pixel.png": await drawn(1, 1, colour).png(),
    "odd/strip.png": await drawn(5, 300, colour).png(),
    ...Object.fromEntries([3, 6, 8].map((turn) => [`odd/turned-${turn}.jpg`, withOrientation(jpeg, turn)])),
  };
  await writeFiles(at("odd-photos"), { ...odd, ...figures(1, 5) });
  const { events, result } = await tuned("odd-run", { data: at("odd-photos"), epochs: 1 });
  expect(events.filter(({ type }) => type === "bad" || type === "remark")).toEqual([]);
  expect(result.validated).toBe(2);
  const found: Prediction[] = [];
  await predict({
    ...{ images: [at("odd-photos", "odd")], model: at("odd-run"), device: "cpu", threads: 1 },
    onEvent: (event) => void (event.type === "prediction" && found.push(event.prediction)),
  });
  expect(found.length).toBe(5);
  for (const prediction of found) expect("classes" in prediction && prediction.classes.length).toBe(2);
});

test("few photos: it says what the accuracy may be, and how to find out more", async () => {
  const { stdout } = await cli(
    ["train", "few", "--from", "source", "--epochs", "1", "--device", "cpu", "--threads", "1", "--out", "vague"],
    { cwd: folder.path },
  );
  expect(stdout).toMatch(
    /\nDone: \d+\.\d% of the 4 validation images are classified correctly \(95% interval: \d+\.\d% to \d+\.\d%\)\.\n/,
  );
  expect(stdout).toMatch(/\nThe last layer alone: \d+\.\d%\. (The|Training the) whole network.*\.\n/);
  expect(stdout).toContain("\n4 images prove little: --folds 5 validates with each of the 15.\n");
});
