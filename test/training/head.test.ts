/** A new last layer, trained on features that are computed once. */
import { afterAll, expect, test } from "bun:test";
import { RecordCache } from "../../src/data/loader.ts";
import { shapes } from "../../src/data/shapes.ts";
import { DataError } from "../../src/errors.ts";
import { openReference } from "../../src/engine/reference.ts";
import { answerAll } from "../../src/inference/answer_all.ts";
import { means } from "../../src/inference/scores.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { batchNorm, conv, dropout, fc, globalAveragePool, relu } from "../../src/net/layers/index.ts";
import { Model, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { FeatureSet } from "../../src/training/later/feature_set.ts";
import { hasHead, trainHead, type HeadOptions } from "../../src/training/later/head.ts";
import { epochsWithin, measurePace, withinLimit } from "../../src/training/later/plan.ts";
import { temporaryFolder } from "../support/folders.ts";

const { path: folder, remove } = temporaryFolder();
afterAll(remove);

const backend = openReference("f32");
const side = 12;
const mean = uploadMean(backend, side, new Float32Array(side * side * 3).fill(110));
const sets = shapes({ train: 40, val: 20, size: side });
const records = (dataset: typeof sets.train) => ({ dataset, cache: new RecordCache(dataset, side) });
const network: Network = {
  ...small,
  crop: side,
  record: side,
  layers: (classes) => [
    [conv("conv", 12, 3, { stride: 2, sigma: "fan-in", bias: false }), batchNorm("norm"), relu(), globalAveragePool()],
    [dropout(0.9), fc("fc", classes, { sigma: 0.01 })],
  ],
};

function newModel(of = network): Model {
  const model = new Model(of, backend, 10);
  model.initialise(3);
  return model;
}

const options: HeadOptions = {
  ...{ train: records(sets.train), val: records(sets.val), batch: 32, seed: 1, folder },
  withinMs: Infinity,
  ...{ progress: () => {}, onBad: () => {} },
};

const valuesOf = (model: Model) =>
  Promise.all([...model.parameters, ...model.state].map(async (tensor) => [...(await tensor.read())]));

test("features are the same from memory and from a file", () => {
  const read = (memoryBytes: number) => {
    using features = new FeatureSet(3, 4, folder, memoryBytes);
    features.add(Float32Array.of(1, 2, 3, 4, 5, 6), Uint32Array.of(7, 9), Uint32Array.of(0, 1));
    features.add(Float32Array.of(-1, -2, -3), Uint32Array.of(8), Uint32Array.of(2));
    const to = new Float32Array(6);
    features.read(Uint32Array.of(2, 0), to);
    return [features.length, [...features.images], [...features.labels], [...to]];
  };
  expect(read(48)).toEqual([3, [7, 9, 8, 0], [0, 1, 2, 0], [-1, -2, -3, 1, 2, 3]]);
  expect(read(47)).toEqual(read(48));
});

test("the last layer learns, the others stay; its answers are those of the whole network", async () => {
  const model = newModel();
  const before = await valuesOf(model);
  const head = (await trainHead(model, mean, options))!;
  const after = await valuesOf(model);
  const last = model.parameters.length - 2;
  expect(after.toSpliced(last, 2)).toEqual(before.toSpliced(last, 2));
  expect(head).toMatchObject({ images: 40, views: 2 });
  // Of ten classes that are equally frequent.
  expect(head.train.top1).toBeLessThan(0.7);
  const { answers } = await answerAll([{ model, mean }], sets.val, { batch: 20 });
  const found = means(head.answers.scores(10).total);
  const expected = means(answers.scores(10).total);
  expect(found.top1).toBe(expected.top1);
  expect(found.loss).toBeCloseTo(expected.loss, 5);
  const again = newModel();
  await trainHead(again, mean, options);
  expect(await valuesOf(again)).toEqual(after);
});

test("classes that are to be seen more often are answered more often", async () => {
  const answered = async (weights: readonly number[]) => {
    const { answers } = (await trainHead(newModel(), mean, { ...options, weights }))!;
    return Array.from({ length: answers.length }, (_, i) => answers.at(i).best[0]!.label);
  };
  const often = await answered(Array.from({ length: 10 }, (_, k) => (k === 4 ? 50 : 1)));
  const usual = await answered(Array.from({ length: 10 }, () => 1));
  const count = (labels: readonly number[]) => labels.filter((label) => label === 4).length;
  expect(count(usual)).toBeLessThan(5);
  expect(count(often)).toBeGreaterThan(2 * count(usual));
});

test("images that can't be read are no features", async () => {
  const read = async () => {
    throw new DataError("damaged");
  };
  const unreadable = records({ ...sets.train, read });
  const training = trainHead(newModel(), mean, { ...options, train: unreadable });
  await expect(training).rejects.toThrow(/can't be used/);
});

test("where time is short, fewer images are used, and no mirror images", async () => {
  const head = (await trainHead(newModel(), mean, { ...options, withinMs: 0 }))!;
  expect(head.views).toBe(1);
  // A pass of 32 is always done.
  expect(head.images).toBe(32);
});

test("which networks have a last layer to train alone", () => {
  const heads = ["alexnet", "alexnet-owt", "efficientnet-lite0", "resnet18", "cifar10-airbench", "squeezenet1_1"].map(
    (name) => hasHead(place(findNetwork(name))),
  );
  expect(heads).toEqual([true, true, true, true, true, false]);
});

test("measuring the pace changes nothing", async () => {
  const model = newModel();
  const before = await valuesOf(model);
  const pace = await measurePace(model, mean, { ...options, batch: 8, epochImages: 40 });
  expect(pace.epochMs).toBeGreaterThan(0);
  expect(await valuesOf(model)).toEqual(before);
  expect(model.parameters.every(({ grad }) => grad === undefined)).toBe(true);
  expect([0, 99, 110, 1100].map((ms) => epochsWithin(ms, { epochMs: 100, afterMs: 20 }))).toEqual([0, 0, 0, 10]);
});

test("a limit leaves out epochs when the mean of those done is too long for it, and none that fits", () => {
  const within = withinLimit(1000);
  expect(within(1, 100)).toBe(10);
  expect(within(2, 300)).toBe(5);
  expect(within(3, 200)).toBe(5);
  expect(within(4, 500)).toBe(4);
});
