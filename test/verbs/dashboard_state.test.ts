/** What the dashboard says of a training, from its events. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { here } from "../../src/cli/terminal.ts";
import type { EpochRecord, StartRecord } from "../../src/runs/records.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { DashboardState } from "../../src/verbs/train/dashboard/state.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
const run = join(folder.path, "a-run");

const started: StartRecord = {
  ...{ type: "start", run, network: "alexnet", parameters: 1, device: "cpu", data: "photos" },
  ...{ train: 1000, val: 50, classes: 2, batch: 100, epochs: 3, rate: 0.01 },
};
const step = (epoch: number, batch: number, imagesPerSecond = 7): TrainEvent => ({
  ...{ type: "step", epoch, epochs: 3, batch, batches: 10, loss: 1, top1: 0.5, imagesPerSecond, secondsLeft: 1 },
});
const epoch = (number: number, error: number): TrainEvent & EpochRecord => ({
  ...{ type: "epoch", isBest: true, epoch: number, step: 10 * number, rate: 0.01, imagesPerSecond: 1, dataWait: 0 },
  ...{ train: { loss: 1, top1: 0.5, top5: 0 }, val: { loss: 1, top1: error, top5: 0 }, seconds: 1 },
});

/** The state after some events, each at its time in ms. */
function after(...events: readonly (readonly [ms: number, TrainEvent | "resumed"])[]): DashboardState {
  let now = 0;
  const state = new DashboardState(() => now);
  state.see(started);
  for (const [ms, event] of events) {
    now = ms;
    if (event === "resumed") state.heldUp();
    else state.see(event);
  }
  return state;
}

const speeds = (state: DashboardState) => state.curves().steps.map(({ imagesPerSecond }) => imagesPerSecond);

test("speed is images over the time since the last point, whatever the epoch says", () => {
  expect(speeds(after([1000, step(1, 1)], [3000, step(1, 2, 56_000)], [4000, step(1, 3)]))).toEqual([7, 50, 100]);
});

test("validation, another epoch and a pause don't count: the epoch's own speed does", () => {
  const validated = after(
    ...([[1000, step(1, 9)], [2000, step(1, 10)], [3000, { type: "validate", done: 1, total: 50 }]] as const), // prettier-ignore
    ...([[9000, epoch(1, 0.5)], [10_000, step(2, 1)], [11_000, step(2, 2)]] as const), // prettier-ignore
  );
  expect(speeds(validated)).toEqual([7, 100, 7, 100]);
  const paused = after([1000, step(1, 1)], [9000, "resumed"], [9500, step(1, 2)], [10_500, step(1, 3)]);
  expect(speeds(paused)).toEqual([7, 7, 100]);
});

test("accuracy in tiles and in the browser's tab", () => {
  const state = after([0, epoch(1, 0.25)], [0, epoch(2, 0.375)], [0, step(3, 5)]);
  const { tiles, tab } = state.summary(false, false);
  expect(tiles.slice(0, 3)).toEqual([
    { name: "Validation accuracy", value: "62.5%", note: "after epoch 2" },
    { name: "Best so far", value: "75.0%", note: "after epoch 1" },
    { name: "Training accuracy", value: "50.0%", note: "epoch 3 so far" },
  ]);
  expect(tab).toBe("epoch 3 of 3 · 63% · a-run");
  expect(state.summary(true, false).tab).toBe("paused · epoch 3 of 3 · 63% · a-run");
  expect(after([0, epoch(0, 0.25)]).summary(false, false).tiles[0]!.note).toBe("with the new last layer alone");
});

test("an end: what was reached, where it is, and the command for what is next", () => {
  const ended = (interrupted: boolean): TrainEvent => ({
    type: "end",
    interrupted,
    run,
    bestError: 0.25,
    validated: 48,
  });
  const training = [[0, epoch(1, 0.25)], [0, epoch(2, 0.375)], [0, step(3, 5)]] as const; // prettier-ignore
  const done = after(...training, [0, ended(false)]).summary(false, false);
  expect(done).toMatchObject({ done: 1, running: false, phase: "", tab: "done · 75% · a-run" });
  expect(done.outcome?.words).toStartWith(
    `Done: 75.0% of the 48 validation images are classified correctly, after epoch 1. Saved in ${here(run)}; `,
  );
  const stopped = after(...training, [0, ended(true)]).summary(false, true);
  expect(stopped).toMatchObject({ running: false, phase: "", tab: "stopped · 63% · a-run" });
  expect(stopped.outcome).toEqual({
    kind: "stopped",
    words:
      "Stopped in epoch 3 of 3; 75.0% of the validation images are classified correctly, after epoch 1. " +
      `Saved in ${here(run)}.`,
    next: { words: "Go on with:", command: `bun run train --resume ${here(run)}` },
  });
  expect(after([0, ended(true)]).summary(false, true).outcome?.words).toStartWith("Stopped before the first step. ");
});

test("an error is shown on one line, with the command to go on once something was saved", () => {
  const state = after();
  state.fail(new Error("out of\nmemory"));
  expect(state.summary(false, false).outcome).toEqual({ kind: "failed", words: "Failed: out of memory" });
  const later = after([0, epoch(1, 0.5)]);
  later.fail("lost");
  expect(later.summary(false, false).outcome).toMatchObject({ words: "Failed: lost", next: { words: "Go on with:" } });
});
