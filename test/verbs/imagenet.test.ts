/** `alexnet` on ImageNet's archives as distributed, and on packs of them: the same images in the same order. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLoader } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import type { EpochRecord } from "../../src/runs/records.ts";
import { pack } from "../../src/verbs/pack/pack.ts";
import { train } from "../../src/verbs/train/train.ts";
import { temporaryFolder } from "../support/folders.ts";
import { ilsvrc, photos } from "../support/imagenet.ts";

setDefaultTimeout(300_000);

const { path: root, remove } = temporaryFolder();
afterAll(remove);
const archives = join(root, "ILSVRC");
const [jpeg, raw] = [join(root, "jpeg"), join(root, "raw")];

beforeAll(async () => {
  mkdirSync(archives);
  for (const [name, bytes] of Object.entries(await ilsvrc(await photos(12))))
    writeFileSync(join(archives, name), bytes);
  await pack({ data: archives, out: jpeg });
  await pack({ data: archives, out: raw, encoding: "raw" });
});

/** The file and class of every image of two epochs, and the records of all of them. */
async function epochs(path: string): Promise<{ order: string[]; records: Uint8Array[] }> {
  const { train: set, val } = await openDataset(path);
  const [order, records]: [string[], Uint8Array[]] = [[], []];
  const bytes = 256 * 256 * 3;
  for (const epoch of [0, 1]) {
    for await (const { pixels, indices, labels, valid } of createLoader(set, {
      ...{ batch: 8, recordSize: 256, shuffle: { seed: 5, epoch } },
    })) {
      for (let n = 0; n < valid; n++) {
        order.push(`${set.nameOf(indices[n]!).split("/").at(-1)} ${set.classes[labels[n]!]}`);
        records.push(pixels.slice(n * bytes, (n + 1) * bytes));
      }
    }
  }
  for (const dataset of [set, val]) await dataset.close();
  return { order, records };
}

test("the same order and the same pixels, apart from JPEG's loss", async () => {
  const [fromArchives, fromJpeg, fromRaw] = [await epochs(archives), await epochs(jpeg), await epochs(raw)];
  expect(new Set(fromArchives.order).size).toBe(fromArchives.order.length / 2);
  expect(fromJpeg.order).toEqual(fromArchives.order);
  expect(fromRaw.order).toEqual(fromArchives.order);
  fromArchives.records.forEach((record, n) => {
    expect(Buffer.compare(fromRaw.records[n]!, record)).toBe(0);
    const difference = record.reduce((sum, value, i) => sum + Math.abs(value - fromJpeg.records[n]![i]!), 0);
    expect(difference / record.length).toBeLessThan(4);
  });
});

async function losses(data: string): Promise<number[]> {
  const found: EpochRecord[] = [];
  const out = join(root, "run");
  await train({
    data,
    out,
    model: "alexnet",
    epochs: 1,
    batch: 12,
    device: "cpu",
    onEvent: (event) => {
      if (event.type === "epoch") found.push(event);
    },
  });
  // Half a gigabyte of weights.
  rmSync(out, { recursive: true });
  return found.flatMap((record) => [record.train.loss, record.val.loss]);
}

test("an epoch has the same losses on the archives and on a pack of their pixels", async () => {
  const expected = await losses(archives);
  expect(expected.length).toBe(2);
  expect(expected.every(Number.isFinite)).toBe(true);
  expect(await losses(raw)).toEqual(expected);
});
