/** The table of photos: what is taken from a training's events, and the numbers in it. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outcomeOf, photosTable } from "../../bench/accuracy/photos.ts";
import { train } from "../../src/verbs/train/train.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";
import { endOf } from "../support/processes.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);

const events = [
  { type: "start", train: 244, val: 153, classes: 2 },
  { type: "epoch", epoch: 0 },
  { type: "epoch", epoch: 1 },
  { type: "epoch", epoch: 2 },
  { type: "end", interrupted: false, bestError: 0.04, phases: { lastLayer: 0.0625, whole: 0.04 } },
].map((event, i) => ({ seconds: 10 * i, event }));

test("of a training with a new last layer: what each part reached, and when", () => {
  const { outcome, images } = outcomeOf(3, events);
  expect(images).toEqual({ train: 244, val: 153, classes: 2 });
  expect(outcome).toEqual({
    ...{ seed: 3, lastLayer: 0.9375, whole: 0.96, accuracy: 0.96, epochs: 2 },
    ...{ lastLayerSeconds: 10, seconds: 40 },
  });
  expect(() => outcomeOf(3, events.slice(0, -1))).toThrow("the training did not come to its end");
});

test("the table has means over the seeds, and standard deviations with n − 1", () => {
  const { outcome, images } = outcomeOf(0, events);
  const other = { ...outcome, seed: 1, whole: 0.98, accuracy: 0.98, seconds: 42 };
  const table = photosTable([{ set: "ants-bees", images, minutes: 5, outcomes: [outcome, other] }]);
  expect(table.split("\n").at(-1)).toBe(
    "| ants-bees | 244 + 153 | 2 | 5 | 2 | 93.8% ± 0.0 | 10 s | 97.0% ± 1.4 | 97.0% ± 1.4 | 41 s |",
  );
});

test("the command trains each set with each seed, with the options after --", async () => {
  const at = (name: string) => join(folder.path, name);
  await makePhotos(at("photos"), 2, 5);
  await train({ ...tiny, data: await makePhotos(at("other"), 3, 5), epochs: 1, out: at("source") });
  const main = fileURLToPath(new URL("../../bench/accuracy/main.ts", import.meta.url));
  const words = ["photos", "--minutes", "0", "--seeds", "2", "--out", "found.json"];
  const more = ["--", "--from", "source", "--device", "cpu", "--threads", "1"];
  const child = Bun.spawn([process.execPath, main, ...words, ...more], {
    ...{ cwd: folder.path, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  });
  const { code, stdout } = await endOf(child);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\n\| photos \| 8 \+ 2 \| 2 \| 0 \| 2 \| \d+\.\d% ± \d+\.\d \| \d+ s \| {2}\| /);
  const { rows, options } = JSON.parse(readFileSync(at("found.json"), "utf8"));
  expect(options).toEqual(more.slice(1));
  expect(rows[0].outcomes.map(({ seed, epochs }: { seed: number; epochs: number }) => [seed, epochs])).toEqual([
    [0, 0],
    [1, 0],
  ]);
});
