import { describe, expect, test } from "bun:test";
import {
  centreView,
  drawViews,
  mixedLabels,
  testViews,
  type AugmentationOptions,
} from "../../src/data/augmentation.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { jitterMatrix } from "../../src/data/jitter.ts";
import { principalAxes } from "../../src/data/moments.ts";
import { measureStatistics } from "../../src/data/statistics.ts";
import { VIEW, VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { Purpose, Random } from "../../src/random.ts";
import { expectClose } from "../support/data.ts";

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

  test("stay what they are: a resumed run and a published seed rely on it", () => {
    const options = { ...all, record: 256, size: 227 };
    const views = drawViews(options, axes, 7, 3, Uint32Array.of(0, 1, 1_281_166), 0);
    const expected = [
      [19, 6, 0, 1, 2.90227, 1.97317, 2.50284],
      [14, 10, 1, 1, -11.5625, -0.388004, -0.350628],
      [5, 4, 1, 1, -4.4545, 0.433659, 0.452827],
    ];
    for (const [n, row] of expected.entries()) {
      expectClose(`view ${n}`, views.slice(n * VIEW_LENGTH, n * VIEW_LENGTH + 7), row, 1e-6);
    }
  });
});

const off: AugmentationOptions = { record: 36, size: 32, crop: false, mirror: false, colour: 0 };
const MANY = 4000;
const draw = (options: Partial<AugmentationOptions>, count = MANY) =>
  drawViews({ ...off, ...options }, axes, 1, 0, numbers(count), 0);
/** Where in a row the numbers of each part are. */
const places = {
  source: [VIEW.top, VIEW.left, VIEW.height, VIEW.width],
  matrix: [3, ...Array.from({ length: 9 }, (_, k) => VIEW.matrix + k)],
  erase: [0, 1, 2, 3].map((k) => VIEW.erase + k),
  mix: [VIEW.partner, VIEW.share, ...[0, 1, 2, 3].map((k) => VIEW.cut + k)],
  paper: [VIEW.mirror, VIEW.shift, VIEW.shift + 1, VIEW.shift + 2],
};
/** Top, left, bottom, right of each box that is not empty. */
const boxes = (views: Float32Array, at: number) =>
  Array.from({ length: views.length / VIEW_LENGTH }, (_, n) => [
    ...views.subarray(n * VIEW_LENGTH + at, n * VIEW_LENGTH + at + 4),
  ]).filter(([top, left, bottom, right]) => top! < bottom! && left! < right!) as [number, number, number, number][];

describe("training views of today", () => {
  test("padding: every place up to that many pixels outside, and at the record's size", () => {
    const views = draw({ record: 32, pad: 2 });
    for (const k of [VIEW.top, VIEW.left]) {
      const counts = [-2, -1, 0, 1, 2].map((place) => column(views, k).filter((value) => value === place).length);
      expect(Math.min(...counts)).toBeGreaterThan(700);
      expect(counts.reduce((sum, count) => sum + count)).toBe(MANY);
    }
    expect(() => draw({ pad: 36 })).toThrow("drawViews: pad is 36, must be less than the side of the records, 36");
  });

  test("alternating: half are mirrored in an epoch, and the others in the next", () => {
    const mirrored = (epoch: number) =>
      column(drawViews({ ...off, alternate: true }, axes, 1, epoch, numbers(MANY), 0), VIEW.mirror);
    expect(mean(mirrored(0))).toBeWithin(0.47, 0.53);
    expect(mirrored(1)).toEqual(mirrored(0).map((mirror) => 1 - mirror));
    expect(mirrored(2)).toEqual(mirrored(0));
  });

  test("resized crops: shares of the area from 8% to all, 3:4 to 4:3, within the record", () => {
    const views = draw({ record: 256, size: 227, resizedCrop: 0.08 });
    const [top, left, height, width] = places.source.map((k) => column(views, k)) as number[][] as [
      number[],
      number[],
      number[],
      number[],
    ];
    const areas = height.map((h, n) => (h * width[n]!) / 256 ** 2);
    const aspects = height.map((h, n) => Math.log(width[n]! / h));
    expect(Math.min(...areas)).toBeWithin(0.078, 0.09);
    // Most of the largest are too long for the record and are drawn again.
    expect(mean(areas)).toBeWithin(0.45, 0.54);
    expect(Math.max(...areas)).toBeWithin(0.95, 1.001);
    expect(Math.max(...aspects.map(Math.abs))).toBeWithin(0.27, Math.log(4 / 3) + 0.02);
    expect(Math.abs(mean(aspects))).toBeLessThan(0.01);
    top.forEach((y, n) => expect(y >= 0 && y + height[n]! <= 256).toBe(true));
    left.forEach((x, n) => expect(x >= 0 && x + width[n]! <= 256).toBe(true));
    // Of the room that is left above: half of it, on average.
    const room = top.flatMap((y, n) => (height[n]! < 200 ? [y / (256 - height[n]!)] : []));
    expect(mean(room)).toBeWithin(0.47, 0.53);
    expect(new Set(column(views, VIEW.extended))).toEqual(new Set([1]));
  });

  test("jitter: contrast is a factor of all, brightness of what grey becomes", () => {
    const views = draw({ jitter: 0.4, divideBy: 2 });
    const contrast = column(views, VIEW.scale).map((scale) => 2 * scale);
    const brightness = [0, 1, 2].map((k) => column(views, VIEW.matrix + k));
    const ofGrey = brightness[0]!.map((red, n) => red + brightness[1]![n]! + brightness[2]![n]!);
    for (const factors of [contrast, ofGrey]) {
      expect(Math.min(...factors)).toBeWithin(0.599, 0.61);
      expect(Math.max(...factors)).toBeWithin(1.39, 1.401);
      expect(mean(factors)).toBeWithin(0.985, 1.015);
    }
  });

  test("erasing: as often as asked for, 2% to 33% of the crop", () => {
    const views = draw({ erase: 0.25, size: 200, record: 200 });
    const erased = boxes(views, VIEW.erase);
    expect(erased.length / MANY).toBeWithin(0.22, 0.28);
    const areas = erased.map(([top, left, bottom, right]) => ((bottom - top) * (right - left)) / 200 ** 2);
    expect(Math.min(...areas)).toBeWithin(0.019, 0.03);
    expect(Math.max(...areas)).toBeWithin(0.3, 0.34);
    for (const box of erased) box.forEach((edge) => expect(edge).toBeWithin(0, 201));
    expect(mean(column(views, VIEW.extended))).toBe(erased.length / MANY);
    expect(boxes(draw({ erase: 1 }), VIEW.erase).length).toBe(MANY);
  });

  test("mixup: shares of Beta(α, α), with the next image of the batch", () => {
    for (const alpha of [0.2, 1, 4]) {
      const shares = column(draw({ mixup: alpha }), VIEW.share);
      expect(mean(shares)).toBeWithin(0.47, 0.53);
      // The variance of Beta(α, α) is 1 / (4 (2α + 1)).
      const variance = mean(shares.map((share) => (share - 0.5) ** 2)) * 4 * (2 * alpha + 1);
      expect(variance).toBeWithin(0.94, 1.06);
    }
    expect(column(draw({ mixup: 1 }, 3), VIEW.partner)).toEqual([1, 2, 0]);
    // Numbers like 1e-300 and their like don't become NaN.
    for (const share of column(draw({ mixup: 1e-3 }, 200), VIEW.share)) expect(share).toBeWithin(0, 1.001);
  });

  test("cutmix: boxes of a uniform share of the area, cut off at the border", () => {
    const cut = boxes(draw({ cutmix: 1, size: 200, record: 200 }), VIEW.cut);
    expect(cut.length / MANY).toBeWithin(0.97, 1.001);
    for (const box of cut) box.forEach((edge) => expect(edge).toBeWithin(0, 201));
    // A box of side s around any pixel: (s − s²/4)² of the area on average, with s² uniform: 1/2 − 1/5 + 1/48 = 0.32.
    const areas = cut.map(([top, left, bottom, right]) => ((bottom - top) * (right - left)) / 200 ** 2);
    expect(mean(areas)).toBeWithin(0.305, 0.335);
  });

  test("mixup and cutmix: a batch has the one or the other", () => {
    let cuts = 0;
    for (let at = 0; at < 200 * 8; at += 8) {
      const views = drawViews({ ...off, mixup: 0.2, cutmix: 1 }, undefined, 1, 0, numbers(8, at), at);
      const isCut = column(views, VIEW.share).every((share) => share === 1);
      expect(boxes(views, VIEW.cut).length > 0).toBe(isCut);
      if (isCut) cuts++;
    }
    expect(cuts).toBeWithin(75, 125);
  });

  test("a part that is switched on changes none of the others", () => {
    const parts = { resizedCrop: 0.08, jitter: 0.4, erase: 0.25, mixup: 0.2 };
    const { record, size, mirror, colour } = all;
    const together = draw({ record, size, mirror, colour, ...parts }, 50);
    const alone = {
      source: draw({ resizedCrop: 0.08 }, 50),
      matrix: draw({ jitter: 0.4 }, 50),
      erase: draw({ erase: 0.25 }, 50),
      mix: draw({ mixup: 0.2 }, 50),
      paper: draw({ mirror, colour }, 50),
    };
    for (const [part, views] of Object.entries(alone)) {
      for (const k of places[part as keyof typeof places]) expect(column(views, k)).toEqual(column(together, k));
    }
    // But for the partner, which is in the batch, no other image matters.
    const some = drawViews({ ...all, ...parts }, axes, 1, 0, numbers(5, 10), 10);
    const whole = drawViews({ ...all, ...parts }, axes, 1, 0, numbers(50), 0);
    for (let k = 0; k < VIEW_LENGTH; k++) {
      if (k !== VIEW.partner) expect(column(some, k)).toEqual(column(whole, k).slice(10, 15));
    }
  });

  test("labels of mixed images: as much of each as is seen of it", () => {
    const labels = Uint32Array.of(3, 1, 4);
    expect(mixedLabels(draw({ erase: 1, jitter: 1 }, 3), labels, 32)).toBeUndefined();
    const views = draw({ mixup: 1 }, 3);
    const { others, shares } = mixedLabels(views, labels, 32)!;
    expect([...others]).toEqual([1, 4, 3]);
    expect([...shares]).toEqual(column(views, VIEW.share));
    const cut = centreView(3, 36, 32);
    cut.set([2, 1, 8, 16, 24, 32], 2 * VIEW_LENGTH + VIEW.partner);
    expect(mixedLabels(cut, labels, 32)).toEqual({
      others: Uint32Array.of(3, 3, 4),
      shares: Float32Array.of(1, 1, 1 - (16 * 16) / 32 ** 2),
    });
  });
});

describe("the matrix of brightness, saturation and hue", () => {
  const apply = (matrix: readonly number[], colour: readonly number[]) =>
    [0, 1, 2].map((c) => colour.reduce((sum, value, k) => sum + matrix[3 * c + k]! * value, 0));
  const luma = ([red, green, blue]: readonly number[]) => 0.299 * red! + 0.587 * green! + 0.114 * blue!;

  test("does nothing, doubles, or leaves grey", () => {
    const colour = [200, 50, 10];
    expectClose("as it is", apply(jitterMatrix(1, 1, 0), colour), colour, 1e-12);
    expectClose("twice", apply(jitterMatrix(2, 1, 0), colour), [400, 100, 20], 1e-12);
    const grey = luma(colour);
    expectClose("grey", apply(jitterMatrix(1, 0, 0.3), colour), [grey, grey, grey], 1e-12);
    expectClose(
      "half",
      apply(jitterMatrix(1, 0.5, 0), colour),
      colour.map((value) => (value + grey) / 2),
      1e-12,
    );
  });

  test("turns hues: grey and luma stay, four quarters are a whole, half turns are the opposite colour", () => {
    const quarter = jitterMatrix(1, 1, 0.25);
    const colour = [10, 120, 200];
    expectClose("grey", apply(quarter, [70, 70, 70]), [70, 70, 70], 1e-12);
    expect(luma(apply(quarter, colour))).toBeCloseTo(luma(colour), 10);
    expectClose(
      "whole",
      [1, 2, 3, 4].reduce((at) => apply(quarter, at), colour),
      colour,
      1e-12,
    );
    const opposite = apply(jitterMatrix(1, 1, 0.5), colour);
    expectClose(
      "half",
      opposite,
      colour.map((value) => 2 * luma(colour) - value),
      1e-12,
    );
    // Red turned by +0.1 goes towards yellow or magenta, and by −0.1 the other way.
    const [one, other] = [0.1, -0.1].map((turn) => apply(jitterMatrix(1, 1, turn), [255, 0, 0]));
    expect(Math.sign(one![1]! - one![2]!)).toBe(-Math.sign(other![1]! - other![2]!));
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
  expect([...second!].map((value, i) => (i % VIEW_LENGTH === VIEW.mirror ? 0 : value))).toEqual([...views]);
  const six = testViews(6, 1, 32, 32).map((view) => [...view.slice(0, 3)].join());
  expect(six).toEqual(["0,0,0", "-1,-1,0", "1,1,0", "0,0,1", "-1,-1,1", "1,1,1"]);
  expect(() => testViews(6, 1, 1, 1)).toThrow("testViews: an image of one pixel can't be shifted");
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
