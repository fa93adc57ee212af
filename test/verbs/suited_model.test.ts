import { describe, expect, test } from "bun:test";
import type { Dataset } from "../../src/data/dataset.ts";
import { DataError } from "../../src/errors.ts";
import { suitedModel } from "../../src/verbs/shared/suited_model.ts";
import { figurePng } from "../support/images.ts";

describe("the default model", () => {
  const small = figurePng(0, 0);
  const set = (...images: (Uint8Array | undefined)[]) =>
    ({
      length: images.length,
      read: async (i: number) => {
        const bytes = images[i];
        if (!bytes) throw new DataError(`can't read ${i}.png`);
        return { kind: "encoded", bytes };
      },
    }) as Dataset;

  test.each([
    ["the first image", set(small), "cifar10-18pct"],
    ["the second, where the first is missing", set(undefined, small), "cifar10-18pct"],
    ["the third, where others are no images", set(undefined, Buffer.from("no image"), small), "cifar10-18pct"],
    ["none of them, where none can be read", set(undefined, undefined), "alexnet"],
  ])("is told by %s", async (_, images, model) => {
    expect(await suitedModel("photos", images)).toBe(model);
  });

  test("is not guessed when the program itself fails", async () => {
    const broken = { length: 1, read: () => Promise.reject(new TypeError("a mistake")) } as unknown as Dataset;
    await expect(suitedModel("photos", broken)).rejects.toThrow(TypeError);
  });
});
