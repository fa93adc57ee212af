import { expect, test } from "bun:test";
import { ShapeError } from "../../src/errors.ts";
import { filterGrid, gridColumns, mosaic } from "../../src/pictures/filters.ts";

test("a filter is scaled by its own largest weight, and no weight is grey", () => {
  // Two filters of 3 × 1 × 2: the first looks for red on the left, the second, much weaker, for no blue on the right.
  const weights = Float32Array.of(4, 0, 0, 0, 0, 0, 0, 0.01, 0, 0, 0, -0.02);
  const { pixels, width, height } = filterGrid(weights, [2, 3, 1, 2], { columns: 1 });
  expect([width, height]).toEqual([2, 3]);
  const rows = [0, 1, 2].map((y) => [...pixels.subarray(6 * y, 6 * (y + 1))]);
  expect(rows).toEqual([
    [255, 128, 128, 128, 128, 128],
    [255, 255, 255, 255, 255, 255],
    [128, 128, 128, 191, 128, 0],
  ]);
});

test("a filter without weights is grey, and a factor makes squares of its pixels", () => {
  const { pixels, width, height } = filterGrid(new Float32Array(3), [1, 3, 1, 1], { factor: 5 });
  expect([width, height, pixels.length]).toEqual([5, 5, 75]);
  expect(pixels.every((value) => value === 128)).toBe(true);
});

test("rows are full where that makes a good shape: the paper's 96 filters, torchvision's 64, a prime", () => {
  expect([96, 64, 32, 16, 1, 7].map(gridColumns)).toEqual([12, 8, 8, 4, 1, 4]);
});

test("pictures of a mosaic lie where they should, with nothing between them", () => {
  const cell = (value: number) => ({ pixels: new Uint8Array(3).fill(value), width: 1, height: 1 });
  const { pixels, width, height, alpha } = mosaic([cell(1), cell(2), cell(3)], 2, 1);
  expect([width, height]).toEqual([3, 3]);
  expect([...alpha!]).toEqual([255, 0, 255, 0, 0, 0, 255, 0, 0]);
  expect([...pixels].filter((_, i) => i % 3 === 0)).toEqual([1, 255, 2, 255, 255, 255, 3, 255, 255]);
});

test("filters that look at anything but three channels", () => {
  expect(() => filterGrid(new Float32Array(4), [1, 4, 1, 1])).toThrow(ShapeError);
  expect(() => filterGrid(new Float32Array(5), [2, 3, 1, 1])).toThrow(ShapeError);
  expect(() => filterGrid(new Float32Array(0), [0, 3, 1, 1])).toThrow(ShapeError);
});
