/** The model of many ranks: numbers worked out by hand. */
import { expect, test } from "bun:test";
import { fit, hiddenShare, project } from "../../bench/scale/model.ts";

const two = { ranks: 2, images: 8, computeSeconds: 1, exchangeSeconds: 0.5, stepSeconds: 1.25, sentBytes: 1e9 };

test("what of the exchange is hidden", () => {
  expect(hiddenShare(two)).toBe(0.5);
  expect(hiddenShare({ ...two, stepSeconds: 0.9 })).toBe(1);
  expect(hiddenShare({ ...two, stepSeconds: 2 })).toBe(0);
});

test("a line through steps of one rank, means of several", () => {
  const compute = [4, 8, 16].map((images) => ({ images, seconds: 0.2 + 0.1 * images }));
  const model = fit(compute, [two, { ...two, ranks: 4, stepSeconds: 1.5 }], 1e9);
  expect(model.stepSeconds).toBeCloseTo(0.2, 9);
  expect(model.imageSeconds).toBeCloseTo(0.1, 9);
  expect(model.hidden).toBe(0.25);
  expect(model.localRate).toBeCloseTo(2e9, 3);
});

test("one measurement, and a line that begins below nothing, are all per image", () => {
  expect(fit([{ images: 4, seconds: 2 }], [two], 1)).toMatchObject({ stepSeconds: 0, imageSeconds: 0.5 });
  const falling = [
    { images: 2, seconds: 0.5 },
    { images: 4, seconds: 2.5 },
  ];
  expect(fit(falling, [two], 1)).toMatchObject({ stepSeconds: 0, imageSeconds: 0.5 });
  const noisy = [
    { images: 2, seconds: 2 },
    { images: 4, seconds: 1 },
  ];
  expect(fit(noisy, [two], 1)).toMatchObject({ stepSeconds: 0, imageSeconds: 0.5 });
});

test("images a second: 2 ranks of 10 images, a gigabyte each way", () => {
  const model = { stepSeconds: 0.5, imageSeconds: 0.05, hidden: 0.5, localRate: 4e9, gradientBytes: 1e9 };
  expect(project(model, 1, 10, 1e10)).toBe(10);
  // Bytes 1e9: 0.8 s over the link, 0.25 s in the rank, 60 µs for two messages; half of it counts.
  expect(project(model, 2, 10, 1e10)).toBeCloseTo(20 / (1 + (0.8 + 0.25 + 60e-6) / 2), 9);
});
