/** Data sets of images in memory: what is taken and what is refused, and that the loader hands it out. */
import { describe, expect, test } from "bun:test";
import type { Dataset } from "../../src/data/dataset.ts";
import { takeInventory } from "../../src/data/inventory.ts";
import { createLoader } from "../../src/data/loader.ts";
import { datasetOf, type LabelledImage } from "../../src/data/memory.ts";
import { openDataset, opened } from "../../src/data/open.ts";
import { plain } from "../support/images.ts";
import { any, testRefusals, type Refusal } from "../support/refusals.ts";

const CLASSES = ["ant", "bee"];

/** A plain image of side × side. */
const square = (value: number, label: number | string, side = 4): LabelledImage => ({
  ...{ pixels: new Uint8Array(side * side * 3).fill(value), width: side, height: side, label },
});

async function* later<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield item;
}

/** The first byte and the label of every image, as the loader hands them out. */
async function loaded(set: Dataset): Promise<(readonly [value: number, label: number])[]> {
  const found: (readonly [number, number])[] = [];
  for await (const { pixels, labels, valid } of createLoader(set, { batch: 2, recordSize: 4 })) {
    for (let n = 0; n < valid; n++) found.push([pixels[n * 48]!, labels[n]!]);
  }
  return found;
}

describe("datasetOf", () => {
  test("an array: labels by number and by name, in order", async () => {
    const set = await datasetOf([square(10, 1), square(20, "ant"), square(30, "bee")], { classes: CLASSES });
    expect([set.name, set.length, set.classes]).toEqual(["images", 3, CLASSES]);
    expect([0, 1, 2].map((i) => set.label(i))).toEqual([1, 0, 1]);
    expect(set.nameOf(2)).toBe("images 2");
    expect(await loaded(set)).toEqual([[10, 1], [20, 0], [30, 1]]); // prettier-ignore
  });

  test("an async iterable, of other sizes and of files' bytes too: all become records", async () => {
    const bytes = new Uint8Array(await plain(40, 40, 40, 9));
    const images = [square(10, 0, 7), { bytes, label: 1, name: "photo" }, square(30, 1)];
    const set = await datasetOf(later(images), { classes: CLASSES, name: "mixed" });
    expect([set.nameOf(0), set.nameOf(1)]).toEqual(["mixed 0", "photo"]);
    expect(await loaded(set)).toEqual([[10, 0], [40, 1], [30, 1]]); // prettier-ignore
  });

  const refusals: readonly Refusal<void>[] = [
    ["UsageError: datasetOf: classes is undefined, must be an array of strings", () => datasetOf([], any({}))],
    ['UsageError: datasetOf: there are two classes "a"', () => datasetOf([], { classes: ["a", "b", "a"] })],
    [
      "UsageError: datasetOf: the images are 3, must be an iterable or an async iterable",
      () => datasetOf(any(3), { classes: CLASSES }),
    ],
    ["DataError: mine: there is no image", () => datasetOf([], { classes: CLASSES, name: "mine" })],
    [
      'DataError: images 1: its label is "cat", must be one of 2 classes',
      () => datasetOf([square(0, 0), square(0, "cat")], { classes: CLASSES }),
    ],
    [
      "DataError: images 0: its label is 2, must be one of 2 classes",
      () => datasetOf([square(0, 2)], { classes: CLASSES }),
    ],
    [
      "DataError: images 0: 48 bytes for 4 × 5 pixels: need three for each, red, green and blue",
      () => datasetOf([any({ ...square(0, 0), height: 5 })], { classes: CLASSES }),
    ],
    [
      "DataError: images 0: its pixels are an Array, must be a Uint8Array",
      () => datasetOf([any({ ...square(0, 0), pixels: [1, 2, 3] })], { classes: CLASSES }),
    ],
    [
      'DataError: images 0: its bytes are "a.jpg", must be a Uint8Array',
      () => datasetOf([any({ bytes: "a.jpg", label: 0 })], { classes: CLASSES }),
    ],
  ];
  testRefusals(refusals, () => {});
});

describe("a set in memory, opened", () => {
  const images = Array.from({ length: 10 }, (_, n) => square(n, n % 2));

  test("is divided like one on disk, and stays open", async () => {
    const set = await datasetOf(images, { classes: CLASSES });
    let closed = false;
    const watched: Dataset = { ...set, close: async () => void (closed = true) };
    const { train, val, isHeldOut } = await (async () => {
      await using sets = await openDataset(watched, { holdOut: 0.2 });
      return sets;
    })();
    expect([train.length, val.length, isHeldOut, closed]).toEqual([8, 2, true, false]);
    const both = [...(await loaded(train)), ...(await loaded(val))].map(([value]) => value);
    expect(both.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("goes with another for validation, whose classes are in another order", async () => {
    const [train, other] = [await datasetOf(images, { classes: CLASSES }), { classes: ["bee", "ant"], name: "other" }];
    const { val } = await openDataset(train, { val: await datasetOf([square(7, "bee")], other) });
    expect([val.classes, val.label(0)]).toEqual([CLASSES, 1]);
  });

  test("what is no set is refused", async () => {
    const refused = openDataset(any({ classes: CLASSES, length: 3 }));
    await expect(refused).rejects.toThrow("openDataset: data an Object: must be a path, or a Dataset");
  });

  test("its inventory has a checksum of pixels, so that a change of one byte is seen", async () => {
    const stamps = async (image: LabelledImage) => {
      const set = await datasetOf([image], { classes: CLASSES });
      return (await takeInventory(opened({ train: set, val: set, remarks: [] }))).images[0]![2];
    };
    const changed = square(7, 0);
    "pixels" in changed && (changed.pixels[5] = 8);
    expect(await stamps(square(7, 0))).toMatch(/^#[0-9a-f]{8}$/);
    expect(await stamps(square(7, 0))).toBe(await stamps(square(7, 0)));
    expect(await stamps(changed)).not.toBe(await stamps(square(7, 0)));
  });
});
