/** The commands that train a run again and go on with it. */
import { expect, test } from "bun:test";
import { findNetwork } from "../../src/net/networks.ts";
import { goOnCommand, keptOptions, predictCommand, trainCommand } from "../../src/runs/command.ts";
import { makeConfig } from "../../src/runs/config.ts";
import type { StartRecord } from "../../src/runs/records.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";

const data = "/photos";
const config = (options: TrainOptions) => ({ ...makeConfig(options, findNetwork("small"), data, null), epochs: 7 });

/** The command for a run that was begun with these options. */
function commandOf(options: TrainOptions, start: object = {}): string | undefined {
  const kept = keptOptions(options);
  return trainCommand(config(options), { ...start, ...(kept && { options: kept }) } as StartRecord);
}

test.each([
  [{}, ""],
  [{ minutes: 5, out: "x", data: "photos" }, ""],
  [{ seed: 3, blas: false, tune: true, holdOut: 0.2 }, " --seed 3 --blas off --tune on --hold-out 0.2"],
  [{ augment: "mirror,jitter=0.2", rates: "conv*=0.1" }, " --augment mirror,jitter=0.2 --rates 'conv*=0.1'"],
  [{ from: "/it's/best.safetensors" }, ` --from '/it'\\''s/best.safetensors'`],
] as const)("%j", (options, words) => {
  expect(commandOf(options)).toBe(`bun run train /photos${words} --epochs 7`);
});

test("before the number of epochs is known, it is the minutes", () => {
  expect(commandOf({ minutes: 2 }, { minutes: 2 })).toBe("bun run train /photos --minutes 2");
});

test("none for what a command can't say, and for runs that don't say how they were begun", () => {
  expect(commandOf({ fold: [1, 5] })).toBeUndefined();
  expect(commandOf({ weights: { a: 2 } })).toBeUndefined();
  expect(commandOf({ model: { crop: 8, layers: () => [] } })).toBeUndefined();
  expect(trainCommand(config({}), undefined)).toBeUndefined();
});

test("a stranger's options are words of one command of this program, or none", () => {
  const of = (options: unknown) => trainCommand(config({}), { options } as StartRecord);
  expect(of({ augment: "x; rm -rf ~ $(id)\n`id`" })).toBe(
    "bun run train /photos --augment 'x; rm -rf ~ $(id)\n`id`' --epochs 7",
  );
  expect(of({ "augment x; id": "y" })).toBeUndefined();
  expect(of({ toString: "y" })).toBeUndefined();
  expect(of({ seed: { a: 1 } })).toBeUndefined();
  expect(of([1])).toBeUndefined();
});

test("going on: the epochs that are left, or a new run from the weights", () => {
  const run = "/my runs/a";
  expect(goOnCommand(config({}), run, 3)).toBe("bun run train --resume '/my runs/a'");
  expect(goOnCommand(config({}), run, 7)).toBe("bun run train /photos --from '/my runs/a'");
});

test("trying it: the run is named unless it is among the others", () => {
  expect(predictCommand("runs/small-1", "runs/small-1/samples")).toBe("bun run predict runs/small-1/samples");
  expect(predictCommand("/my runs/a")).toBe("bun run predict IMAGE --model '/my runs/a'");
});
