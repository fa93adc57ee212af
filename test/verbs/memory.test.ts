/** Trainings on a set in memory: what they record, what they give back, and how they are resumed and evaluated. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Dataset } from "../../src/data/dataset.ts";
import { datasetOf } from "../../src/data/memory.ts";
import type { EpochRecord } from "../../src/runs/records.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { predict } from "../../src/verbs/predict/predict.ts";
import type { TrainResult } from "../../src/verbs/train/job.ts";
import { train } from "../../src/verbs/train/train.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng } from "../support/images.ts";

const { path: root, remove } = temporaryFolder();
const run = join(root, "run");
const CPU = { device: "cpu", threads: 1 } as const;
const OPTIONS = { ...CPU, model: "small", batch: 10, rate: 0.001, schedule: "constant", holdOut: 0.2 } as const;

/** Ten plain images of each of two classes. @param first the red of the first */
function made(first = 10): Promise<Dataset> {
  const images = Array.from({ length: 20 }, (_, n) => ({
    pixels: new Uint8Array(16 * 16 * 3).map((_, i) => (i % 3 === n % 2 ? 200 : n === 0 ? first : 10 * n)),
    ...{ width: 16, height: 16, label: n % 2 },
  }));
  return datasetOf(images, { classes: ["red", "green"], name: "colours" });
}

let result: TrainResult;
const epochs: EpochRecord[] = [];
beforeAll(async () => {
  const onEvent = (event: TrainEvent) => void (event.type === "epoch" && epochs.push(event));
  result = await train({ ...OPTIONS, data: await made(), epochs: 2, out: run, onEvent });
}, 60_000);
afterAll(remove);

test("the result has every epoch, and the first of the lowest error as the best", () => {
  expect(result.history.map(({ epoch }) => epoch)).toEqual([1, 2]);
  expect(result.history.map(({ val }) => val)).toEqual(epochs.map(({ val }) => val));
  const lowest = Math.min(...epochs.map(({ val }) => val.top1));
  expect(result.best).toEqual(result.history.find(({ val }) => val.top1 === lowest)!);
  expect(result.bestError).toBe(lowest);
});

test("the configuration names the set, and has no path", () => {
  expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8"))).toMatchObject({
    data: "memory:colours",
    val: null,
  });
});

describe("resumed and evaluated", () => {
  const gone = `the run's images were in a program's memory ("colours"): name the data`;

  test("without the images, it says that they are missing", async () => {
    await expect(train({ resume: run, epochs: 3 })).rejects.toThrow(gone);
    await expect(evaluate({ ...CPU, model: run })).rejects.toThrow(gone);
  });

  test("with other images, it says which changed", async () => {
    const resumed = train({ resume: run, epochs: 3, data: await made(11) });
    await expect(resumed).rejects.toThrow(/1 changed; first colours 0 of class "red", whose contents differ/);
  });

  test("with the same, it goes on, and ends as if it had not been stopped", async () => {
    const resumed = await train({ resume: run, epochs: 3, data: await made() });
    const whole = await train({ ...OPTIONS, data: await made(), epochs: 3, out: join(root, "whole") });
    const scores = ({ history }: TrainResult) => history.map(({ epoch, train, val }) => ({ epoch, train, val }));
    expect(scores(resumed)).toEqual(scores(whole));
    expect(whole.history.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    const { total } = await evaluate({ ...CPU, model: run, data: await made() });
    expect(total.images).toBe(20);
  });
});

test("predict takes bytes, and resolves with all predictions in order", async () => {
  const bytes = figurePng(0, 0);
  const { predictions } = await predict({ ...CPU, model: run, images: [bytes, join(root, "none.png"), bytes] });
  expect(predictions.map(({ image }) => image)).toEqual(["image 1", join(root, "none.png"), "image 3"]);
  expect(predictions.map((each) => "error" in each)).toEqual([false, true, false]);
  // Images of a batch differ by rounding.
  const [first, , last] = predictions.map((each) => ("error" in each ? NaN : each.classes[0]!.probability));
  expect(first).toBeCloseTo(last!, 5);
});
