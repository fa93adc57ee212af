/** Temperatures and calibration errors that are known beforehand. */
import { describe, expect, test } from "bun:test";
import { binsOf, calibrationError, fitTemperature, type LabelledLogits } from "../../src/inference/calibration.ts";
import { Random } from "../../src/random.ts";

/** Images whose labels are drawn with the probabilities that their logits, divided by a temperature, give them. */
function drawnAt(temperature: number, images: number, classes: number): LabelledLogits {
  const random = new Random(1, 0);
  const logits = Float32Array.from({ length: images * classes }, () => 6 * random.normal());
  const labels = Uint32Array.from({ length: images }, (_, n) => {
    const weights = [...logits.subarray(n * classes, (n + 1) * classes)].map((logit) => Math.exp(logit / temperature));
    let left = random.uniform() * weights.reduce((sum, weight) => sum + weight);
    return weights.findIndex((weight) => (left -= weight) < 0);
  });
  return { logits, labels };
}

/** `right` of `images` with the same two logits have the first class. */
const same = (images: number, right: number, gap: number): LabelledLogits => ({
  logits: Float32Array.from({ length: 2 * images }, (_, i) => (i % 2 === 0 ? gap : 0)),
  labels: Uint32Array.from({ length: images }, (_, n) => (n < right ? 0 : 1)),
});

describe("the temperature", () => {
  for (const temperature of [0.5, 1, 2.5]) {
    test(`of answers of which as many are right as they say at ${temperature}`, () => {
      // Of 20,000, three in four; the logits say so at this temperature.
      expect(fitTemperature(same(20_000, 15_000, temperature * Math.log(3)))).toBeCloseTo(temperature, 3);
    });

    test(`of labels drawn at ${temperature}`, () => {
      const drawn = drawnAt(temperature, 8000, 5);
      expect(fitTemperature(drawn) / temperature).toBeCloseTo(1, 1);
      expect(calibrationError(binsOf(drawn, temperature))).toBeLessThan(0.01);
    });
  }

  test("where all are right: for 98 of 98, 99 in 100 is said", () => {
    const temperature = fitTemperature(same(98, 98, 20));
    expect(1 / (1 + Math.exp(-20 / temperature))).toBeCloseTo(0.99, 6);
  });

  test("stays within 1/20 and 20", () => {
    expect(fitTemperature(same(100, 50, 20))).toBeCloseTo(20, 2);
    expect(fitTemperature(same(8000, 8000, 0.01))).toBeCloseTo(1 / 20, 4);
    expect(fitTemperature(same(100, 60, 0))).toBeWithin(0.04, 21);
  });
});

describe("the calibration error", () => {
  test("is the mean gap between what is said and what is right, by bins", () => {
    // 0.5 and 0.9, in bins 7 and 13 of 15.
    const [half, most] = [same(10, 3, 1e-6), same(30, 30, Math.log(9))];
    const both = {
      logits: Float32Array.of(...half.logits, ...most.logits),
      labels: Uint32Array.of(...half.labels, ...most.labels),
    };
    const bins = binsOf(both, 1);
    expect(bins.map(({ images, right }) => [images, right])).toEqual([[10, 3], [30, 30]]); // prettier-ignore
    expect(bins.map(({ confidence }) => confidence)).toEqual([expect.closeTo(0.5, 5), expect.closeTo(0.9, 5)]);
    expect(calibrationError(bins)).toBeCloseTo((10 * 0.2 + 30 * 0.1) / 40, 5);
  });

  test("of answers that are certain", () => {
    expect(calibrationError(binsOf(same(10, 10, 1000), 1))).toBe(0);
    expect(calibrationError(binsOf(same(10, 4, 1000), 1))).toBeCloseTo(0.6, 6);
  });
});
