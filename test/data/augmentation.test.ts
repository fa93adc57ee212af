import { describe, expect, test } from "bun:test";
import { centreView, drawViews, testViews, type AugmentationOptions } from "../../src/data/augmentation.ts";
import { VIEW, VIEW_LENGTH } from "../../src/ops/augment.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { measureStatistics, principalAxes } from "../../src/data/statistics.ts";
import { Purpose, Random } from "../../src/random.ts";
import { expectClose } from "../helpers/data.ts";

const all: AugmentationOptions = { record: 36, size: 32, crop: true, mirror: true, colour: 0.1 };
const axes = {
  values: [10_000, 100, 1],
  vectors: [
    [1, 0, 0],
    [0, 0.6, 0.8],
    [0, -0.8, 0.6],
  ],
};
const numbers = (count: number, from = 0) => Uint32Array.from({ length: count }, (_, i) => from + i);
const column = (views: Float32Array, k: number) => [...views.filter((_, i) => i % VIEW_LENGTH === k)];
const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

describe("training views", () => {
  test("every place, both mirrors, and colours with the spread of the axes", () => {
    const views = drawViews(all, axes, 1, 0, numbers(4000), 0);
    for (const k of [0, 1]) {
      const counts = [0, 1, 2, 3, 4].map((place) => column(views, k).filter((value) => value === place).length);
      expect(Math.min(...counts)).toBeGreaterThan(700);
      expect(counts.reduce((sum, count) => sum + count)).toBe(4000);
    }
    expect(Math.abs(mean(column(views, 2)) - 0.5)).toBeLessThan(0.03);
    expect(new Set(column(views, 3))).toEqual(new Set([1]));
    const [r, g, b] = [4, 5, 6].map((k) => column(views, k)) as [number[], number[], number[]];
    // Along an axis: variance 0.1² λ. Green and blue are mixtures of the second and the third.
    const variance = (values: number[]) => mean(values.map((v) => v * v));
    expect(variance(r)).toBeWithin(90, 110);
    expect(variance(g.map((value, n) => 0.6 * value + 0.8 * b[n]!))).toBeWithin(0.9, 1.1);
    expect(variance(g.map((value, n) => -0.8 * value + 0.6 * b[n]!))).toBeWithin(0.009, 0.011);
    expect(column(views, 7).every((value) => value === 0)).toBe(true);
  });

  test("depend on seed, epoch and image, not on the batch", () => {
    const views = drawViews(all, axes, 1, 2, numbers(20), 0);
    expect(drawViews(all, axes, 1, 2, numbers(5, 10), 10)).toEqual(views.slice(10 * VIEW_LENGTH, 15 * VIEW_LENGTH));
    expect(drawViews(all, axes, 2, 2, numbers(20), 0)).not.toEqual(views);
    expect(drawViews(all, axes, 1, 3, numbers(20), 0)).not.toEqual(views);
    // What is switched off leaves the other draws as they are.
    const without = drawViews({ ...all, crop: false, colour: 0 }, undefined, 1, 2, numbers(20), 0);
    expect(column(without, 2)).toEqual(column(views, 2));
    expect([new Set(column(without, 0)), new Set(column(without, 4))]).toEqual([new Set([2]), new Set([0])]);
    expect(new Set(column(drawViews({ ...all, mirror: false }, axes, 1, 2, numbers(20), 0), 2))).toEqual(new Set([0]));
  });

  test("the program of 2012: crops shared by 32, divided by 1.1", () => {
    const views = drawViews(
      { ...all, record: 256, size: 227, sharedCrop: 32, divideBy: 1.1 },
      axes,
      1,
      0,
      numbers(128),
      0,
    );
    const places = column(views, 0).map((y, n) => `${y},${column(views, 1)[n]}`);
    for (let group = 0; group < 4; group++) expect(new Set(places.slice(32 * group, 32 * group + 32)).size).toBe(1);
    expect(new Set(places).size).toBe(4);
    expectClose("scale", column(views, 3), new Array(128).fill(1 / 1.1), 1e-7);
  });
});

test("test views: the centre; its mirror image too; the centre, the corners and their mirror images", () => {
  const centre = [14, 14, 0, 1, 0, 0, 0, 0];
  const views = centreView(2, 256, 227);
  expect(views.length).toBe(2 * VIEW_LENGTH);
  for (const n of [0, 1]) expect([...views.slice(n * VIEW_LENGTH, n * VIEW_LENGTH + 8)]).toEqual(centre);
  expect(testViews(1, 2, 256, 227)).toEqual([views]);
  const [first, second, ...others] = testViews(2, 2, 256, 227);
  expect([first, others]).toEqual([views, []]);
  expect(column(second!, VIEW.mirror)).toEqual([1, 1]);
  expect(second!.map((value, i) => (i % VIEW_LENGTH === VIEW.mirror ? 0 : value))).toEqual(views);
  const ten = testViews(10, 1, 256, 227).map((view) => [...view.slice(0, 3)].join());
  expect(ten).toEqual([
    "14,14,0",
    "0,0,0",
    "0,29,0",
    "29,0,0",
    "29,29,0",
    "14,14,1",
    "0,0,1",
    "0,29,1",
    "29,0,1",
    "29,29,1",
  ]);
});

describe("statistics", () => {
  const side = 3;
  const random = new Random(5, Purpose.drawing);
  const images = Array.from({ length: 40 }, () => {
    const grey = random.integer(200);
    return Uint8Array.from({ length: side * side * 3 }, (_, i) => grey + (i % 3) * 5 + random.integer(20));
  });
  const dataset: Dataset = {
    name: "noise",
    classes: ["a", "b"],
    length: images.length,
    ignored: 0,
    label: () => 0,
    nameOf: String,
    read: async (i) => ({ kind: "pixels", pixels: images[i]!, width: side, height: side }),
    close: async () => {},
  };

  test("mean image and covariance as by definition", async () => {
    const measured = await measureStatistics(dataset, { recordSize: side });
    expect(measured.images).toBe(40);
    expectClose(
      "mean",
      measured.mean,
      Array.from({ length: 27 }, (_, k) => mean(images.map((image) => image[k]!))),
      1e-6,
    );
    const channel = [0, 1, 2].map((c) => images.flatMap((image) => [...image].filter((_, i) => i % 3 === c)));
    const means = channel.map(mean);
    expectClose("channel means", measured.channelMean, means, 1e-12);
    const covariance = [0, 1, 2].flatMap((p) =>
      [0, 1, 2].map((q) => mean(channel[p]!.map((value, k) => (value - means[p]!) * (channel[q]![k]! - means[q]!)))),
    );
    expectClose("covariance", measured.covariance, covariance, 1e-9);
  });

  test("a sample of a larger set, by seed", async () => {
    const seen: number[] = [];
    const sampled = { ...dataset, read: (i: number) => (seen.push(i), dataset.read(i)) };
    const measured = await measureStatistics(sampled, { recordSize: side, sample: 7, seed: 3 });
    expect([measured.images, new Set(seen).size]).toEqual([7, 7]);
  });

  test("eigenvectors of a symmetric matrix, the longest first", () => {
    for (const matrix of [
      [4, 1, -2, 1, 3, 0.5, -2, 0.5, 9],
      [2, 0, 0, 0, 5, 0, 0, 0, 3],
      [1, 1, 1, 1, 1, 1, 1, 1, 1],
      new Array(9).fill(0),
    ]) {
      const { values, vectors } = principalAxes(matrix);
      expect(values).toEqual(values.toSorted((a, b) => b - a));
      const rebuilt = matrix.map((_, at) =>
        values.reduce((sum, value, k) => sum + value * vectors[k]![Math.floor(at / 3)]! * vectors[k]![at % 3]!, 0),
      );
      rebuilt.forEach((value, at) => expect(value).toBeCloseTo(matrix[at]!, 10));
      const products = vectors.flatMap((p) => vectors.map((q) => p.reduce((sum, value, c) => sum + value * q[c]!, 0)));
      products.forEach((value, at) => expect(value).toBeCloseTo(at % 4 === 0 ? 1 : 0, 10));
    }
  });
});
