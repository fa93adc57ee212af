import { describe, expect, test } from "bun:test";
import type { Dataset } from "../../src/data/dataset.ts";
import { FIGURES } from "../../src/data/figures.ts";
import { shapes } from "../../src/data/shapes.ts";
import { linearAccuracy } from "./linear_classifier.ts";

async function pixels(dataset: Dataset, i: number): Promise<Uint8Array> {
  const image = await dataset.read(i);
  if (image.kind !== "pixels") throw new Error("expected pixels");
  return image.pixels;
}

describe("the built-in set", () => {
  test("is balanced, and the same for the same seed", async () => {
    const { train, val } = shapes({ train: 200, val: 50, seed: 3 });
    expect([train.length, val.length, train.classes.length, train.imageSize]).toEqual([200, 50, 10, 32]);
    const counts = new Array(10).fill(0);
    for (let i = 0; i < 200; i++) counts[train.label(i)]++;
    expect(new Set(counts)).toEqual(new Set([20]));
    const again = shapes({ train: 200, seed: 3 }).train;
    expect(await pixels(again, 17)).toEqual(await pixels(train, 17));
    expect(await pixels(shapes({ seed: 4 }).train, 17)).not.toEqual(await pixels(train, 17));
    expect(await pixels(val, 17)).not.toEqual(await pixels(train, 17));
    expect(await pixels(train, 27)).not.toEqual(await pixels(train, 17));
  });

  test("can be drawn at any size", async () => {
    expect((await pixels(shapes({ size: 57 }).train, 4)).length).toBe(57 * 57 * 3);
  });

  test("outlines are distances: negative inside, growing no faster than the way walked", () => {
    for (const { name, distance } of FIGURES) {
      let inside = 0;
      for (let y = -2; y <= 2; y += 0.05) {
        for (let x = -2; x <= 2; x += 0.05) {
          const [here, right] = [distance(x, y), distance(x + 0.01, y)];
          if (here < 0) inside++;
          if (Math.abs(right - here) > 0.0101) throw new Error(`${name} jumps at ${x}, ${y}: ${here} to ${right}`);
        }
      }
      // In squares of 0.05: between a tenth and all of the unit circle and its surroundings.
      expect([name, inside > 350 && inside < 1400]).toEqual([name, true]);
      expect([name, distance(1.6, 1.6) > 0]).toEqual([name, true]);
    }
  });

  test("is no matter of single pixels: a linear classifier fails", async () => {
    const { train, val } = shapes({ train: 2000, val: 1000 });
    const { onTraining, onValidation } = await linearAccuracy(train, val, 15);
    // It memorises some, so the classifier works; little of that carries over.
    expect(onTraining).toBeGreaterThan(0.4);
    expect(onValidation).toBeLessThan(0.6);
  }, 120_000);
});
