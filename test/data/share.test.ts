/** Batches that are shared out: put together, the shares are the batch that one has alone. */
import { describe, expect, test } from "bun:test";
import { drawViews, viewsOfShare, type AugmentationOptions } from "../../src/data/augmentation.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { createLoader, type Batch, type LoaderOptions } from "../../src/data/loader.ts";
import { shapes } from "../../src/data/shapes.ts";
import { shareOf } from "../../src/data/share.ts";
import { VIEW, VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { DataError, ShapeError } from "../../src/errors.ts";

const SIDE = 8;
const BYTES = SIDE * SIDE * 3;

test.each([
  [7, 3],
  [32, 5],
  [4, 4],
  [2, 3],
])("%d images in %d shares", (total, of) => {
  const shares = Array.from({ length: of }, (_, k) => shareOf(total, k, of));
  expect(shares.reduce((sum, { count }) => sum + count, 0)).toBe(total);
  for (const [k, { first }] of shares.entries())
    expect(first).toBe(k === 0 ? 0 : shares[k - 1]!.first + shares[k - 1]!.count);
  const counts = shares.map(({ count }) => count);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

async function batchesOf(dataset: Dataset, options: Partial<LoaderOptions>): Promise<Batch[]> {
  const shuffle = { seed: 3, epoch: 1 };
  const found: Batch[] = [];
  for await (const batch of createLoader(dataset, { batch: 12, recordSize: SIDE, shuffle, ...options })) {
    const [pixels, labels, indices] = [batch.pixels.slice(), batch.labels.slice(), batch.indices.slice()];
    found.push({ ...batch, pixels, labels, indices });
  }
  return found;
}

describe("the loader's shares", () => {
  const whole = shapes({ size: SIDE, train: 40 }).train;
  // Bad images are replaced by the next of the order, whoever has them. One in a hundred is tolerated.
  const bad = new Set([5]);
  const large = shapes({ size: SIDE, train: 200 }).train;
  const damaged: Dataset = {
    ...large,
    read: (i) => (bad.has(i) ? Promise.reject(new DataError("damaged")) : large.read(i)),
  };

  test.each([
    ["of whole images", whole, 3],
    ["one of them bad", damaged, 5],
  ] as const)("%s", async (_title, dataset, of) => {
    const alone = await batchesOf(dataset, {});
    const shares = Array.from({ length: of }, (_, k) => shareOf(12, k, of));
    const parts = await Promise.all(shares.map((share) => batchesOf(dataset, { share })));
    for (const [b, batch] of alone.entries()) {
      for (const [k, { first, count }] of shares.entries()) {
        const part = parts[k]![b]!;
        expect(part.indices).toEqual(batch.indices.slice(first, first + count));
        expect(part.labels).toEqual(batch.labels.slice(first, first + count));
        expect(part.pixels).toEqual(batch.pixels.slice(first * BYTES, (first + count) * BYTES));
        expect(part.position).toBe(batch.position);
        expect(part.whole!.valid).toBe(batch.valid);
      }
      expect(parts.reduce((sum, part) => sum + part[b]!.valid, 0)).toBe(batch.valid);
    }
    // The last batch is not full.
    expect(alone.at(-1)!.valid).toBeLessThan(12);
    if (dataset === whole)
      expect(parts[0]!.map((part) => part.whole!.indices)).toEqual(alone.map(({ indices }) => indices));
  });

  test("the last row is followed by the first", async () => {
    const [alone] = await batchesOf(whole, {});
    const [part] = await batchesOf(whole, { share: { first: 8, count: 5 } });
    expect([...part!.indices]).toEqual([...alone!.indices.slice(8), alone!.indices[0]!]);
  });

  test("are of shuffled epochs only", () => {
    const share = { first: 0, count: 4 };
    expect(() => createLoader(whole, { batch: 12, recordSize: SIDE, share })).toThrow(ShapeError);
  });
});

test("the views of a share are those of the batch, and who is mixed finds the other one", () => {
  const options: AugmentationOptions = {
    record: 8,
    size: 6,
    crop: true,
    mirror: true,
    colour: 0,
    mixup: 0.2,
    erase: 1,
  };
  const images = Uint32Array.from({ length: 12 }, (_, i) => 100 + i);
  const views = drawViews(options, undefined, 1, 2, images, 24);
  const part = viewsOfShare(views, { first: 8, count: 5 });
  for (let n = 0; n < 5; n++) {
    const from = ((8 + n) % 12) * VIEW_LENGTH;
    const [own, drawn] = [part.slice(n * VIEW_LENGTH, (n + 1) * VIEW_LENGTH), views.slice(from, from + VIEW_LENGTH)];
    expect(own[VIEW.partner]).toBe(Math.min(n + 1, 4));
    own[VIEW.partner] = drawn[VIEW.partner]!;
    expect(own).toEqual(drawn);
  }
});
