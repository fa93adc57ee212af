import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Dataset, Encoded } from "../../src/data/dataset.ts";
import { withOwnMemory } from "../../src/data/decoding.ts";
import { createLoader, RecordCache, type Batch, type LoaderOptions } from "../../src/data/loader.ts";
import { openDataset } from "../../src/data/open.ts";
import { DataError } from "../../src/errors.ts";
import { plain } from "../support/images.ts";

const SIDE = 4;

/** Images of one colour each, their number; those of `bad` are cut short or can't be read. */
async function numbered(length: number, bad: readonly number[] = []) {
  const images = await Promise.all(Array.from({ length }, (_, i) => plain(i, i, i, SIDE)));
  const reads: number[] = [];
  const dataset: Dataset = {
    name: "numbers",
    classes: ["even", "odd"],
    length,
    label: (i) => i % 2,
    nameOf: (i) => `image ${i}`,
    async read(i) {
      reads.push(i);
      // The later, the sooner: the order must not depend on it.
      await Bun.sleep((7 * i) % 3);
      if (bad.includes(i) && i % 2 === 1) throw Object.assign(new Error("EIO: broken disk"), { syscall: "read" });
      return { kind: "encoded", bytes: bad.includes(i) ? images[i]!.subarray(0, 40) : images[i]! };
    },
    close: async () => {},
  };
  return { dataset, reads };
}

/** A copy of each batch: its arrays are used again. */
async function collect(dataset: Dataset, options: Partial<LoaderOptions>) {
  const loader = createLoader(dataset, { batch: 4, recordSize: SIDE, ...options });
  const batches: Batch[] = [];
  for await (const batch of loader) {
    const { pixels, labels, indices } = batch;
    batches.push({ ...batch, pixels: pixels.slice(), labels: labels.slice(), indices: indices.slice() });
  }
  return { loader, batches, indices: batches.map(({ indices }) => [...indices]) };
}

/** Every row must hold the image and the class that its index says. */
function expectConsistent({ batches }: { batches: readonly Batch[] }): void {
  for (const { pixels, labels, indices } of batches) {
    indices.forEach((i, n) => {
      expect([...new Set(pixels.subarray(n * 48, (n + 1) * 48))]).toEqual([i]);
      expect(labels[n]).toBe(i % 2);
    });
  }
}

const shuffle = { seed: 1, epoch: 0 };

describe("order", () => {
  test("in order without shuffle; the last batch is filled up and masked", async () => {
    const { dataset } = await numbered(10);
    const epoch = await collect(dataset, {});
    expect(epoch.indices).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 8, 9],
    ]);
    expect(epoch.batches.map(({ valid, number, position }) => [valid, number, position])).toEqual([
      [4, 0, 0],
      [4, 1, 4],
      [2, 2, 8],
    ]);
    expect(epoch.loader.batches).toBe(3);
    expectConsistent(epoch);
  });

  test("shuffled by seed and epoch, whatever runs at once", async () => {
    const { dataset } = await numbered(30);
    const first = await collect(dataset, { shuffle });
    expectConsistent(first);
    const seen = first.batches.flatMap(({ indices, valid }) => [...indices.subarray(0, valid)]);
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    for (const [prefetch, inFlight] of [
      [1, 1],
      [2, 3],
      [9, 64],
    ] as const) {
      expect((await collect(dataset, { shuffle, prefetch, inFlight })).indices).toEqual(first.indices);
    }
    expect((await collect(dataset, { shuffle: { seed: 1, epoch: 1 } })).indices).not.toEqual(first.indices);
    expect((await collect(dataset, { shuffle: { seed: 2, epoch: 0 } })).indices).not.toEqual(first.indices);
  });

  test("begins in the middle with what would have come", async () => {
    const { dataset, reads } = await numbered(30);
    const whole = await collect(dataset, { shuffle });
    reads.length = 0;
    const rest = await collect(dataset, { shuffle, from: 5 });
    expect(rest.indices).toEqual(whole.indices.slice(5));
    expect(rest.batches[0]!.position).toBe(20);
    expect(reads.length).toBe(10);
    expect((await collect(dataset, { shuffle, from: 8 })).indices).toEqual([]);
  });

  test("only some images", async () => {
    const { dataset } = await numbered(10);
    expect((await collect(dataset, { samples: Uint32Array.of(9, 2, 5) })).indices).toEqual([[9, 2, 5, 9]]);
  });
});

describe("memory", () => {
  test("the arrays of a few batches are used in turn", async () => {
    const { dataset } = await numbered(30);
    const arrays = new Set<Uint8Array>();
    for await (const { pixels } of createLoader(dataset, { batch: 4, recordSize: SIDE, prefetch: 3 }))
      arrays.add(pixels);
    expect(arrays.size).toBe(3);
  });

  test("a cache spares the second epoch its reading, as far as it reaches", async () => {
    const { dataset, reads } = await numbered(10);
    for (const [bytes, again] of [
      [10 * 48, 0],
      [3 * 48 + 5, 7],
      [0, 10],
    ] as const) {
      const cache = new RecordCache(dataset, SIDE, bytes);
      const first = await collect(dataset, { shuffle, cache });
      reads.length = 0;
      const second = await collect(dataset, { shuffle: { seed: 1, epoch: 1 }, cache });
      for (const epoch of [first, second]) expectConsistent(epoch);
      expect(reads.length).toBe(again);
      expect(cache.size).toBe(10 - again);
    }
    expect(() => createLoader(dataset, { batch: 4, recordSize: 8, cache: new RecordCache(dataset, SIDE) })).toThrow(
      "records of 48 bytes",
    );
  });

  test("a part of an archive in memory is sent to a worker without the rest", () => {
    const archive = Buffer.from("0123456789".repeat(1000));
    for (const bytes of [archive.subarray(3, 7), new Uint8Array(archive.buffer, archive.byteOffset + 3, 4)]) {
      const sent = withOwnMemory({ kind: "encoded", bytes });
      expect(sent).toEqual({ kind: "encoded", bytes: new Uint8Array(Buffer.from("3456")) });
      expect((sent as Encoded).bytes.buffer.byteLength).toBe(4);
    }
  });

  test("stops reading when its consumer stops", async () => {
    const { dataset, reads } = await numbered(60);
    // Behind the first batch everything waits until it is gone.
    const gone = Promise.withResolvers<void>();
    const read = async (i: number) => (i < 4 || (await gone.promise), dataset.read(i));
    const options = { batch: 4, recordSize: SIDE, prefetch: 15, inFlight: 2 };
    for await (const _ of createLoader({ ...dataset, read }, options)) break;
    gone.resolve();
    await Bun.sleep(50);
    // The first batch, and what was under way.
    expect(reads.length).toBeWithin(4, 7);
  });
});

describe("bad images", () => {
  test("shuffled: the next good one stands in, the same at every speed and in a later start", async () => {
    const { dataset } = await numbered(30, [3, 4, 17]);
    const good = await collect((await numbered(30)).dataset, { shuffle });
    const order = good.indices.flat().slice(0, 30);
    const next = (k: number): number => ([3, 4, 17].includes(order[k % 30]!) ? next(k + 1) : order[k % 30]!);
    const told: string[] = [];
    const epoch = await collect(dataset, { shuffle, onBad: (name, reason) => told.push(`${name}: ${reason}`) });
    expectConsistent(epoch);
    expect(epoch.indices.flat().slice(0, 30)).toEqual(order.map((_, k) => next(k)));
    expect(told.map((line) => line.split(":")[0]).sort()).toEqual(["image 17", "image 3", "image 4"]);
    expect([...epoch.loader.bad].sort()).toEqual(told.sort());
    expect(told.find((line) => line.startsWith("image 17"))).toBe("image 17: EIO: broken disk");
    expect((await collect(dataset, { shuffle, prefetch: 1, inFlight: 1 })).indices).toEqual(epoch.indices);
    expect((await collect(dataset, { shuffle, from: 4 })).indices).toEqual(epoch.indices.slice(4));
  });

  test("in order: left out, and no batch without an image", async () => {
    const { dataset, reads } = await numbered(12, [1, 4, 5, 6, 7]);
    const cache = new RecordCache(dataset, SIDE);
    const epoch = await collect(dataset, { cache });
    expect(epoch.batches.map(({ indices, valid, number }) => [number, [...indices], valid])).toEqual([
      [0, [0, 2, 3, 0], 3],
      [2, [8, 9, 10, 11], 4],
    ]);
    expectConsistent(epoch);
    reads.length = 0;
    expect((await collect(dataset, { cache })).loader.bad.length).toBe(5);
    expect(reads).toEqual([]);
  });

  test("too many end it, and name one", async () => {
    const { dataset } = await numbered(
      40,
      Array.from({ length: 11 }, (_, i) => 2 * i),
    );
    for (const options of [{}, { shuffle }]) {
      const failing = collect(dataset, options);
      await expect(failing).rejects.toThrow(DataError);
      await expect(failing).rejects.toThrow(
        /^11 of the 40 images of numbers can't be used, first image \d+: it can't be decoded/,
      );
    }
    const { dataset: none } = await numbered(3, [0, 1, 2]);
    await expect(collect(none, { shuffle })).rejects.toThrow("3 of the 3 images");
    expect((await collect(none, {})).batches).toEqual([]);
  });

  test("a mistake of this program is none of the image's", async () => {
    const { dataset } = await numbered(5);
    const broken = { ...dataset, read: () => Promise.reject(new TypeError("a bug")) };
    await expect(collect(broken, {})).rejects.toThrow("a bug");
  });
});

const DATA = process.env["TEST_DATA"];
describe.skipIf(!DATA)("real photos (TEST_DATA)", () => {
  test("all of them decode; greyscale ones have three equal channels", async () => {
    const { val: dataset } = await openDataset(join(DATA!, "imagenet-sample"), { holdOut: 0 });
    const loader = createLoader(dataset, { batch: 32, recordSize: 64 });
    let grey = 0;
    for await (const { pixels, valid } of loader) {
      for (let n = 0; n < valid; n++) {
        const record = pixels.subarray(n * 64 * 64 * 3, (n + 1) * 64 * 64 * 3);
        if (record.every((value, i) => value === record[i - (i % 3)])) grey++;
      }
    }
    expect([loader.bad, dataset.length]).toEqual([[], 200]);
    expect(grey).toBeGreaterThanOrEqual(3);
  });

  test("CIFAR-10 out of its archive", async () => {
    const { val: dataset } = await openDataset(join(DATA!, "cifar10-test.tar"), { holdOut: 0 });
    const counts = new Uint32Array(10);
    for await (const { labels, valid } of createLoader(dataset, { batch: 128, recordSize: 32, shuffle })) {
      for (const label of labels.subarray(0, valid)) counts[label]!++;
    }
    expect([...counts]).toEqual(new Array(10).fill(1000));
    await dataset.close();
  });
});
