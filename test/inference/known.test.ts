/** What an image is told to be unlike. */
import { describe, expect, test } from "bun:test";
import { Known, PrototypeMaker } from "../../src/inference/known.ts";

const row = (...values: number[]) => Float32Array.from(values);

describe("distances", () => {
  const maker = new PrototypeMaker(2, 2);
  maker.add(row(3, 0), 0);
  maker.add(row(0, 0.1), 1);
  const known = new Known(maker.prototypes());

  test("are those of directions, to the nearest", () => {
    expect(known.distance(row(7, 0))).toBeCloseTo(0, 6);
    expect(known.distance(row(1, 1))).toBeCloseTo(1 - Math.SQRT1_2, 6);
    expect(known.distance(row(1, 2))).toBeCloseTo(1 - 2 / Math.sqrt(5), 6);
    expect(known.distance(row(-1, -1))).toBeCloseTo(1 + Math.SQRT1_2, 6);
  });

  test("without any feature there is nothing in common", () => {
    expect(known.distance(row(0, 0))).toBe(1);
  });

  test("of maps are those of their means", () => {
    expect(known.distance(row(4, 0, 1, 1))).toBeCloseTo(1 - 2 / Math.sqrt(5), 6);
  });
});

test("each image is kept while there is room; then means of groups", () => {
  const few = new PrototypeMaker(2, 2);
  for (let n = 0; n < 5; n++) few.add(row(1, n), n % 2);
  expect(few.prototypes().shape).toEqual([5, 2]);
  // 2¹⁸ numbers: two groups for each of 128 classes.
  const many = new PrototypeMaker(128, 1024);
  const features = (at: number) => new Float32Array(1024).fill(1, at, at + 1);
  for (let n = 0; n < 4; n++) many.add(features(n), 5);
  const { shape, values } = many.prototypes();
  expect(shape).toEqual([2, 1024]);
  expect([...values.subarray(0, 4)].map((value) => value ** 2)).toEqual([0.5, 0, 0.5, 0].map((v) => expect.closeTo(v)));
});
