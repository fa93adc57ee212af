/** Sets of uneven classes and of single images: what is said about them, and how they are balanced. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { openDataset } from "../../src/data/open.ts";
import { Run } from "../../src/runs/runs.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import { train } from "../../src/verbs/train/train.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { figurePng, makePhotos } from "../support/images.ts";
import { writeFiles } from "../support/folders.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (...names: string[]) => join(folder.path, ...names);
const { model, ...others } = tiny;

/** Classes of 14, 3 and 1 images. */
const data = at("uneven");

beforeAll(async () => {
  await makePhotos(data, 3, 14);
  for (let i = 0; i < 14; i++) {
    const name = `${String(i).padStart(3, "0")}.png`;
    if (i >= 3) rmSync(join(data, "c1", name));
    if (i >= 1) rmSync(join(data, "c2", name));
  }
  await train({ ...tiny, data: await makePhotos(at("even"), 2, 3), epochs: 1, out: at("source") });
});

let runs = 0;
async function trained(options: TrainOptions) {
  const out = at(`run${runs++}`);
  const said: string[] = [];
  const report = (event: TrainEvent) => void (event.type === "warning" && said.push(event.line));
  const result = await train({ ...others, data, epochs: 1, out, ...options, onEvent: report });
  return { said, result, config: new Run(out).readConfig() };
}

const COUNTS = 'class "c0" has 13 training images and "c2" 1: ';
const ALONE = '1 class has no validation image, first "c2" (1 training image): the score says nothing about it';
const EQUALLY = "all classes are shown equally often (every image once an epoch: balance: 0)";

test("of trained weights: above 5:1 all classes are shown equally often, unless told otherwise", async () => {
  const from = at("source");
  const usual = await trained({ from });
  expect(usual.config.balance).toBe(1);
  expect(usual.said).toEqual([COUNTS + EQUALLY, ALONE]);
  // Two validation images: one of each class that has two images.
  expect(usual.result.validated).toBe(2);
  const off = await trained({ from, balance: 0 });
  expect([off.config.balance, off.said]).toEqual([0, [ALONE]]);
  const weighted = await trained({ from, weights: { c2: 4 } });
  expect([weighted.config.balance, weighted.said]).toEqual([0, [ALONE]]);
});

test("from scratch it is only said; up to 5:1 nothing is", async () => {
  const { config, said } = await trained({ model });
  expect(config.balance).toBe(0);
  expect(said).toEqual([`${COUNTS}balance: 1 shows all classes equally often`, ALONE]);
  const even = at("five");
  await cp(at("even"), even, { recursive: true });
  await writeFiles(
    join(even, "c0"),
    Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`x${i}.png`, figurePng(0, 50 + i)])),
  );
  // 10 and 2 training images.
  const five = await trained({ from: at("source"), data: even });
  expect([five.config.balance, five.said]).toEqual([0, []]);
});

test("every class keeps an image to train on; with two or more, it has one to validate with", async () => {
  for (const holdOut of [0.01, 0.1, 0.5, 0.99]) {
    await using sets = await openDataset(data, { holdOut });
    const count = (set: typeof sets.train, label: number) =>
      Array.from({ length: set.length }, (_, i) => set.label(i)).filter((own) => own === label).length;
    for (const label of [0, 1, 2]) {
      expect(count(sets.train, label)).toBeGreaterThan(0);
      expect(count(sets.val, label) > 0).toBe(label < 2);
    }
  }
});
