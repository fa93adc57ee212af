/** The training that the page shows is the one that `train` does, with looks in between that change nothing. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { RecordCache } from "../../../src/data/loader.ts";
import { shapes } from "../../../src/data/shapes.ts";
import { measureStatistics } from "../../../src/data/statistics.ts";
import { openCpu } from "../../../src/devices/cpu/backend.ts";
import { small } from "../../../src/net/cifar_networks.ts";
import { Model } from "../../../src/net/model.ts";
import { createOptimizer } from "../../../src/net/optimizers.ts";
import { uploadMean } from "../../../src/net/passes.ts";
import { makeConfig } from "../../../src/runs/config.ts";
import { Run } from "../../../src/runs/runs.ts";
import { freshState, runEpochs } from "../../../src/training/session.ts";
import { localStepper } from "../../../src/training/stepper.ts";
import { Pace } from "../../../src/web/site/train/pace.ts";
import { meanImage, readAll } from "../../../src/web/site/train/records.ts";
import { trainWatched, type TrainingEvent } from "../../../src/web/site/train/training.ts";
import { SHOWN } from "../../../src/web/site/train/validator.ts";
import { temporaryFolder } from "../../support/folders.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const backend = await openCpu({ threads: 1, blas: false });
afterAll(() => backend.close());

// The last batch of an epoch is not full.
const [TRAIN, VAL, BATCH, SEED] = [40, 30, 16, 3];
const network = { ...small, recipe: { ...small.recipe, batch: BATCH, epochs: 2 } };
const sets = shapes({ train: TRAIN, val: VAL });

async function watched(seed = SEED, lookEvery = 2): Promise<TrainingEvent[]> {
  const events: TrainingEvent[] = [];
  const options = { network, seed, train: TRAIN, val: VAL, looked: 20, lookEvery, filtersEvery: 100 };
  const turn = async () => {};
  await trainWatched(backend, options, { tell: (event) => void events.push(event), turn });
  return events;
}

const all = <T extends TrainingEvent["type"]>(events: readonly TrainingEvent[], type: T) =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);

const events = await watched();

test("the losses, the validation and the weights are those of the training loop, bit for bit", async () => {
  const run = new Run(join(folder.path, "run"));
  mkdirSync(run.path);
  const model = new Model(network, backend);
  model.initialise(SEED);
  const config = makeConfig({ seed: SEED }, network, null, null);
  const optimizer = createOptimizer(model, config);
  const { mean, axes } = await measureStatistics(sets.train, { recordSize: small.record });
  const losses: number[] = [];
  const records = (dataset: typeof sets.train) => ({ dataset, cache: new RecordCache(dataset, small.record) });
  const { val } = await runEpochs({
    ...{ run, config, model, optimizer, mean, deviceMean: uploadMean(backend, small.record, mean) },
    ...{ state: freshState(axes), train: records(sets.train), val: records(sets.val), watchers: [] },
    report: (event) => void (event.type === "step" && losses.push(event.loss)),
    stepper: localStepper({ model, optimizer }, BATCH),
  });
  // The loop tells the mean of the epoch so far.
  const counts = [BATCH, BATCH, TRAIN - 2 * BATCH];
  let [sum, images] = [0, 0];
  const soFar = all(events, "step").map(({ loss }, i) => {
    if (i % 3 === 0) [sum, images] = [0, 0];
    sum += loss * counts[i % 3]!;
    images += counts[i % 3]!;
    return sum / images;
  });
  expect(soFar.length).toBe(6);
  soFar.forEach((loss, i) => expect(loss).toBeCloseTo(losses[i]!, 12));
  expect(all(events, "look").at(-1)!.val).toEqual(val!);
  expect(all(events, "filters").at(-1)!.weights).toEqual(await model.parameters[0]!.read());
});

test("looks change nothing, another seed does", async () => {
  const losses = (of: readonly TrainingEvent[]) => all(of, "step").map(({ loss }) => loss);
  expect(losses(await watched(SEED, 100))).toEqual(losses(events));
  expect(losses(await watched(SEED + 1))).not.toEqual(losses(events));
});

test("looks are at some of the test images before the first step and within an epoch, at its end at all, and have answers to those shown", () => {
  const looks = all(events, "look");
  expect(looks.map(({ at, images }) => [at, images])).toEqual([
    [0, 20],
    [2 / 3, 20],
    [1, VAL],
    [5 / 3, 20],
    [2, VAL],
  ]);
  for (const { answers } of looks) {
    expect(answers.length).toBe(SHOWN);
    for (const p of answers) expect(p.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
  }
  const [start] = all(events, "start");
  expect(start).toMatchObject({ parameters: 34_602, steps: 6, epochs: 2, side: 32 });
  expect(start!.pixels.length).toBe(SHOWN * 32 * 32 * 3);
  expect([...start!.labels].slice(0, 3)).toEqual([0, 1, 2].map((i) => sets.val.label(i)));
});

test("from the second step on nothing more is allocated", async () => {
  let seen: object[] = [];
  const options = { network, seed: SEED, train: TRAIN, val: VAL, looked: VAL, lookEvery: 1, filtersEvery: 1 };
  await trainWatched(backend, options, {
    tell: ({ type }) => void (type === "look" && seen.push(backend.statistics())),
    turn: async () => {},
  });
  seen = seen.slice(2);
  expect(seen.length).toBe(5);
  for (const statistics of seen) expect(statistics).toEqual(seen[0]!);
});

test("the mean image is the one that is measured for a training", async () => {
  const records = await readAll(sets.train, small.record, async () => {});
  expect(meanImage(records)).toEqual((await measureStatistics(sets.train, { recordSize: small.record })).mean);
  expect(readAll(sets.train, 16, async () => {})).rejects.toThrow("is not an image of 16 × 16 pixels");
});

test("pauses count neither as time nor for the rate", async () => {
  let now = 1000;
  const pace = new Pace(() => now);
  now += 500;
  expect(pace.after(100)).toEqual({ imagesPerSecond: 200, seconds: 0.5 });
  await pace.without(Promise.resolve().then(() => void (now += 9000)));
  now += 500;
  expect(pace.after(100)).toEqual({ imagesPerSecond: 200, seconds: 1 });
  now += 1000;
  pace.restart();
  now += 100;
  expect(pace.after(100)).toEqual({ imagesPerSecond: 1000, seconds: 2.1 });
});
