import { expect, test } from "bun:test";
import { isWarmup, warmth } from "../../src/net/later/warmup.ts";

test("the rate rises in a straight line, and is whole in the last step of the warm-up", () => {
  const factors = Array.from({ length: 6 }, (_, step) => warmth({ steps: 4 }, step, 100));
  expect(factors).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
  // Half an epoch of ten steps.
  expect([0, 4, 5].map((step) => warmth({ epochs: 0.5 }, step, 10))).toEqual([0.2, 1, 1]);
  expect(warmth({ epochs: 2 }, 9, 10)).toBe(0.5);
});

test("none, or shorter than a step: the whole rate from the first on", () => {
  expect([warmth(undefined, 0, 10), warmth({ epochs: 0.01 }, 0, 10), warmth({ steps: 1 }, 0, 10)]).toEqual([1, 1, 1]);
});

test("what a file may say", () => {
  for (const good of [{ epochs: 5 }, { epochs: 0.5 }, { steps: 100 }]) expect(isWarmup(good)).toBe(true);
  const bad = [
    null,
    5,
    [],
    {},
    { epochs: 0 },
    { epochs: -1 },
    { steps: 1.5 },
    { epochs: 1, steps: 2 },
    { epochs: NaN },
  ];
  for (const each of bad) expect(isWarmup(each)).toBe(false);
});
