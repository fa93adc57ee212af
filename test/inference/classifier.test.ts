/** A model that stays loaded: its answers are those of `predict`, alone and together, and a bad image fails alone. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DataError, UsageError } from "../../src/errors.ts";
import { load, type Classification, type Classifier } from "../../src/index.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { predict, type PredictEvent } from "../../src/verbs/predict/predict.ts";
import { saveUntrained } from "../support/checkpoints.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng } from "../support/images.ts";
import { any } from "../support/refusals.ts";
import { goldenFile } from "../support/weight_files.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
const CPU = { device: "cpu", threads: 1 } as const;
const weights = join(folder.path, "model.safetensors");
const names = ["ants", "bees", "cats", "dogs", "elks", "foxes"];
const pngs = Array.from({ length: 11 }, (_, i) => figurePng(i % 10, i));
const path = join(folder.path, "0.png");
let model: Classifier;

beforeAll(async () => {
  await saveUntrained(weights, small, names, 1);
  writeFileSync(path, pngs[0]!);
  model = await load(weights, { ...CPU, batch: 8 });
});
afterAll(async () => {
  await model.close();
  folder.remove();
});

/** Sums in another order differ by rounding. */
const ROUNDING = 1e-5;

function expectSame(found: Classification, wanted: Classification): void {
  expect(found.classes.map(({ name }) => name)).toEqual(wanted.classes.map(({ name }) => name));
  for (const [k, { probability }] of found.classes.entries()) {
    expect(Math.abs(probability - wanted.classes[k]!.probability)).toBeLessThan(ROUNDING);
  }
}

test("alone it answers as predict does, whatever the image is given as", async () => {
  let predicted: Classification | undefined;
  const onEvent = (event: PredictEvent) => {
    if (event.type === "prediction" && "classes" in event.prediction) predicted = event.prediction;
  };
  await predict({ ...CPU, images: [path], model: weights, onEvent });
  const { classes } = predicted!;
  expect(classes.length).toBe(5);
  const larger = new Uint8Array(pngs[0]!.length + 20);
  larger.set(pngs[0]!, 10);
  const within = larger.subarray(10, 10 + pngs[0]!.length);
  const forms = [path, pngs[0]!, within, Buffer.from(pngs[0]!), pngs[0]!.slice().buffer, new Blob([pngs[0]! as Uint8Array<ArrayBuffer>]), Bun.file(path)]; // prettier-ignore
  for (const form of forms) expect(await model.classify(form)).toEqual({ classes });
  expect([model.network, model.weights, model.origin, model.classes]).toEqual(["small", weights, "own", names]);
});

test("together they are fewer batches, with the same answers", async () => {
  const alone: Classification[] = [];
  for (const png of pngs) alone.push(await model.classify(png));
  const before = model.batches;
  const together = await Promise.all(pngs.map((png) => model.classify(png)));
  expect(model.batches - before).toBeLessThan(pngs.length);
  for (const [i, each] of together.entries()) expectSame(each, alone[i]!);
  expect(new Set(alone.map(({ classes }) => classes[0]!.probability)).size).toBeGreaterThan(5);
});

test("options are each call's own", async () => {
  const [two, unsure, mirrored] = await Promise.all([
    model.classify(pngs[0]!, { top: 2 }),
    model.classify(pngs[0]!, { atLeast: 1 }),
    model.classify(pngs[0]!, { views: 2 }),
  ]);
  expect([two.classes.length, two.unsure]).toEqual([2, undefined]);
  expect([unsure.classes.length, unsure.unsure]).toEqual([5, true]);
  expect(mirrored.classes[0]!.probability).not.toBe(two.classes[0]!.probability);
});

test("a bad image fails only its own call", async () => {
  const cut = pngs[1]!.subarray(0, 60);
  const settled = await Promise.allSettled([
    model.classify(pngs[0]!),
    model.classify(cut),
    model.classify(new Uint8Array()),
    model.classify(join(folder.path, "none.jpg")),
    model.classify("https://example.org/x.jpg"),
    model.classify(pngs[2]!),
  ]);
  expect(settled.map(({ status }) => status[0]).join("")).toBe("frrrrf");
  const errors = settled.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  for (const error of errors) expect(error).toBeInstanceOf(DataError);
  expect(errors.map(({ message }) => message.replace(folder.path, ""))).toEqual([
    expect.stringMatching(/^the image can't be used: its? /),
    "the image can't be used: the file is empty",
    expect.stringMatching(/^\/none\.jpg: can't be read: /),
    "https://example.org/x.jpg: URLs are not fetched: download it first, and name the file",
  ]);
});

test("a signal ends the call, and no other", async () => {
  const stop = new AbortController();
  const [gone, stays] = [model.classify(pngs[0]!, { signal: stop.signal }), model.classify(pngs[1]!)];
  stop.abort(new Error("enough"));
  await expect(gone).rejects.toThrow("enough");
  expect((await stays).classes.length).toBe(5);
});

describe("refused", () => {
  test.each([
    ["classify: the image is 5, must be a Uint8Array, an ArrayBuffer, a Blob or a path", any(5), {}],
    ['classify: there is no option "tops"; did you mean "top"?', new Uint8Array(), any({ tops: 1 })],
    ["top 0: must be a whole number above 0", new Uint8Array(), { top: 0 }],
    ["views 3: must be 1, 2, 6 or 10", new Uint8Array(), any({ views: 3 })],
  ])("%s", async (message, image, options) => {
    const error = await model.classify(image, options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toBe(message);
  });

  test("models that are not there, and options that don't exist", async () => {
    await expect(load(join(folder.path, "none"), CPU)).rejects.toBeInstanceOf(UsageError);
    await expect(load(any(5), CPU)).rejects.toThrow("load: the model is 5, must be a string");
    await expect(load(weights, any({ gpu: true }))).rejects.toThrow('load: there is no option "gpu"');
    await expect(load(weights, { ...CPU, batch: 0 })).rejects.toThrow("batch 0: must be a whole number from 1 to 1024");
  });

  test("a pretrained network that has not been fetched", async () => {
    const before = process.env.ALEXNET_CACHE;
    process.env.ALEXNET_CACHE = join(folder.path, "cache");
    try {
      await expect(load("torchvision-alexnet", CPU)).rejects.toThrow(
        'the network "torchvision-alexnet" has not been fetched yet: bun run predict IMAGE --model torchvision-alexnet does it',
      );
    } finally {
      if (before === undefined) delete process.env.ALEXNET_CACHE;
      else process.env.ALEXNET_CACHE = before;
    }
  });

  test("a device, while the weights are still being imported", async () => {
    const before = process.env.ALEXNET_CACHE;
    process.env.ALEXNET_CACHE = join(folder.path, "imported");
    try {
      const file = join(folder.path, "weights.pth");
      writeFileSync(file, goldenFile("zip.pth"));
      await expect(load(file, { device: "cpu", tune: true })).rejects.toThrow("tune is for GPUs");
    } finally {
      if (before === undefined) delete process.env.ALEXNET_CACHE;
      else process.env.ALEXNET_CACHE = before;
    }
  });
});

test("closing answers what has been asked; later calls are refused", async () => {
  const other = await load(weights, { ...CPU, batch: 2 });
  await other.warmUp();
  const asked = Promise.all(pngs.slice(0, 3).map((png) => other.classify(png)));
  await other.close();
  expect((await asked).length).toBe(3);
  await expect(other.classify(pngs[0]!)).rejects.toThrow("the model is closed");
  await other.close();
});
