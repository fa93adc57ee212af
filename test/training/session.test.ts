/** The training loop and its stepper: the order of what they do together, and that the loop knows nothing else of it. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RecordCache } from "../../src/data/loader.ts";
import { shapes } from "../../src/data/shapes.ts";
import { openCpu } from "../../src/devices/cpu/backend.ts";
import { DivergedError, RankError } from "../../src/errors.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { Model } from "../../src/net/model.ts";
import { createOptimizer } from "../../src/net/optimizers.ts";
import { uploadMean } from "../../src/net/passes.ts";
import { makeConfig } from "../../src/runs/config.ts";
import { Run } from "../../src/runs/runs.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { freshState, runEpochs, type Session } from "../../src/training/session.ts";
import { localStepper, type Stepper } from "../../src/training/stepper.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { temporaryFolder } from "../support/folders.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const backend = await openCpu({ threads: 1, blas: false });
afterAll(() => backend.close());

const [BATCH, EPOCHS, STEPS] = [16, 2, 3];
const sets = shapes({ train: STEPS * BATCH, val: 10 });

/** Two epochs of three steps, with a stepper that is the local one but for some changes; and what was called. */
async function trained(
  name: string,
  changesOf: (calls: readonly string[]) => Partial<Stepper> = () => ({}),
  { rate = 1e-3, ...more }: { rate?: number } & Pick<Partial<Session>, "epochsInTime"> = {},
) {
  const run = new Run(join(folder.path, name));
  mkdirSync(run.path);
  const model = new Model(small, backend);
  model.initialise(0);
  const config = { ...makeConfig({ epochs: EPOCHS, batch: BATCH, rate, schedule: "constant" }, small, null, null) };
  const optimizer = createOptimizer(model, config);
  const [calls, order]: [string[], string[]] = [[], []];
  const changed: Stepper = { ...localStepper({ model, optimizer }, BATCH), ...changesOf(calls) };
  const told = <A extends unknown[], R>(call: string, method: (...args: A) => R) => {
    return (...args: A): R => {
      calls.push(call);
      return method(...args);
    };
  };
  const stepper: Stepper = {
    ...changed,
    step: told("step", (step, wishes) => {
      order.push("begun");
      return changed.step(step, wishes);
    }),
    gather: told("gather", changed.gather),
    answer: told("answer", changed.answer),
    realign: told("realign", changed.realign),
  };
  const report = (event: TrainEvent) => {
    if (event.type === "step") order.push("done");
    if (event.type === "saved") calls.push(event.path === run.last ? "save" : "best");
    if (event.type === "warning") calls.push("warning");
  };
  const mean = new Float32Array(3 * small.record ** 2).fill(100);
  const records = (dataset: typeof sets.train) => ({ dataset, cache: new RecordCache(dataset, small.record) });
  const axes = { values: [1, 1, 1], vectors: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] } as const; // prettier-ignore
  const state = freshState(axes);
  const session = {
    ...{ run, config, model, optimizer, mean, deviceMean: uploadMean(backend, small.record, mean), state, report },
    ...{ train: records(sets.train), val: records(sets.val), watchers: [], stepper },
    ...more,
  };
  const result = await runEpochs(session).catch((error: unknown) => error as Error);
  return { result, calls, order, state, run };
}

const EPOCH = ["step", "step", "step", "gather", "answer", "realign"];

const alone = await trained("alone");

test("after each epoch the model is gathered, answers, is the same everywhere, and is saved, in this order", () => {
  const { result, calls } = alone;
  expect(result).toMatchObject({ interrupted: false, val: { loss: expect.any(Number) } });
  expect(calls.filter((call) => call !== "best")).toEqual([...EPOCH, "save", ...EPOCH, "save"]);
});

test("one step is queued behind another where the stepper says so, and it makes no difference to the bytes", async () => {
  const { run, order } = await trained("one-by-one", () => ({ ahead: 0 }));
  expect(order.slice(0, 6)).toEqual(["begun", "done", "begun", "done", "begun", "done"]);
  expect(alone.order.slice(0, 6)).toEqual(["begun", "begun", "done", "begun", "done", "done"]);
  expect(readFileSync(run.last).equals(readFileSync(alone.run.last))).toBe(true);
});

test("what was agreed on stops the training, whatever this process wishes, and all of it is saved", async () => {
  const { result, calls, state, run } = await trained("stopped", (calls) => ({
    agreed: () => ({ stop: calls.filter((call) => call === "step").length === 2, save: false }),
  }));
  expect(result).toEqual({ interrupted: true, epochs: EPOCHS });
  expect(calls).toEqual(["step", "step", "gather", "save"]);
  expect(state).toMatchObject({ epoch: 0, batch: 2, step: 2, scores: { images: 2 * BATCH } });
  const checkpoint = openCheckpoint(run.last);
  expect(checkpoint.state).toEqual(state);
  checkpoint.close();
});

test("a save within an epoch comes when no step is unfinished, and the model is gathered", async () => {
  const { calls, state } = await trained("saved", (calls) => ({
    agreed: () => ({ stop: false, save: calls.length === 2 }),
  }));
  expect(calls.slice(0, 5)).toEqual(["step", "step", "gather", "save", "step"]);
  expect(state.epoch).toBe(EPOCHS);
});

test("weights that had to be made the same again are said, before they are saved", async () => {
  const { calls } = await trained("drifted", () => ({ realign: async () => true }));
  expect(calls.filter((call) => call !== "best").slice(5, 8)).toEqual(["realign", "warning", "save"]);
});

test("an epoch for which there is no longer time is left out, which is said and kept; there are never more", async () => {
  const asked: [number, number][] = [];
  const epochsInTime = async (done: number, ms: number) => {
    asked.push([done, ms]);
    return 1;
  };
  const { result, calls, run } = await trained("shorter", undefined, { epochsInTime });
  expect(asked).toEqual([[1, expect.any(Number)]]);
  expect(result).toMatchObject({ interrupted: false, epochs: 1 });
  expect(calls.filter((call) => call !== "best")).toEqual([...EPOCH, "save", "warning"]);
  expect(run.readConfig().epochs).toBe(1);
  const { result: longer, state } = await trained("longer", undefined, { epochsInTime: async () => 9 });
  expect([longer, state.epoch]).toEqual([expect.objectContaining({ epochs: EPOCHS }), EPOCHS]);
});

test("a process that doesn't lead writes nothing, and leaves it to the one that does to say what went wrong", async () => {
  const { result, calls, run } = await trained("other", () => ({ leads: false }));
  expect(result).toMatchObject({ interrupted: false });
  expect(calls).toEqual([...EPOCH, ...EPOCH]);
  expect([run.last, run.best].some(existsSync)).toBe(false);
  const failed = async (name: string, leads: boolean) =>
    (await trained(name, () => ({ leads }), { rate: 1e30 })).result;
  expect(await failed("diverged", true)).toBeInstanceOf(DivergedError);
  expect(await failed("diverged-other", false)).toBeInstanceOf(RankError);
});
