/** Which images share a batch, and that each caller gets its own result. */
import { describe, expect, test } from "bun:test";
import { batchOf, Batching } from "../../src/inference/batching.ts";

/** A batching whose results are the first bytes of the records; its batches end when they are told to. */
function open(most: number) {
  const sizes: number[] = [];
  const kinds: number[] = [];
  let release = Promise.withResolvers<void>();
  release.resolve();
  const batching = new Batching<number>({
    ...{ most, bytes: 1 },
    async compute(kind, pixels, images) {
      sizes.push(pixels.length);
      kinds.push(kind);
      const found = [...pixels.subarray(0, images)];
      await release.promise;
      if (found.includes(13)) throw new Error("unlucky");
      return found;
    },
  });
  const add = (value: number, { kind = 1, signal }: { kind?: number; signal?: AbortSignal } = {}) =>
    batching.add(kind, async (record) => void new Uint8Array(record).fill(value), signal);
  return { batching, sizes, kinds, add, hold: () => (release = Promise.withResolvers<void>()).resolve };
}

describe("the size of a batch", () => {
  test.each([
    [1, 16, 1, 1],
    [2, 16, 2, 2],
    [3, 16, 3, 4],
    [5, 16, 4, 4],
    [7, 16, 7, 8],
    [9, 16, 8, 8],
    [12, 16, 12, 16],
    [40, 16, 16, 16],
    [9, 10, 9, 10],
    [17, 30, 16, 16],
    [5, 1, 1, 1],
  ])("%d wait, at most %d: %d are taken, in a batch of %d", (waiting, most, take, size) => {
    expect(batchOf(waiting, most)).toEqual({ take, size });
  });
});

test("what arrives together is computed together, what arrives meanwhile comes next", async () => {
  const { sizes, add, batching, hold } = open(8);
  expect(await add(5)).toBe(5);
  const end = hold();
  const first = Promise.all([1, 2, 3, 4].map((value) => add(value)));
  while (sizes.length < 2) await Bun.sleep(1);
  const second = Promise.all([5, 6, 7, 8, 9, 10, 11, 12].map((value) => add(value)));
  await Bun.sleep(1);
  expect(batching.waiting).toBe(8);
  end();
  expect(await first).toEqual([1, 2, 3, 4]);
  expect(await second).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  await batching.idle();
  expect([sizes, batching.batches, batching.waiting]).toEqual([[1, 4, 8], 3, 0]);
});

test("images of different kinds don't share a batch", async () => {
  const { kinds, sizes, add } = open(8);
  expect(await Promise.all([add(1), add(2, { kind: 2 }), add(3), add(4, { kind: 2 })])).toEqual([1, 2, 3, 4]);
  expect([kinds, sizes]).toEqual([
    [1, 2],
    [2, 2],
  ]);
});

test("an image that can't be decoded fails alone; a batch that fails does so for all in it, and the next one works", async () => {
  const { batching, sizes, add } = open(8);
  const bad = batching.add(1, async () => Promise.reject(new Error("no image")));
  const settled = await Promise.allSettled([add(1), bad, add(2)]);
  expect(settled.map((each) => (each.status === "fulfilled" ? each.value : each.reason.message))).toEqual([1, "no image", 2]); // prettier-ignore
  expect(sizes).toEqual([2]);
  const failed = await Promise.allSettled([add(13), add(1)]);
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await add(7)).toBe(7);
  // Nothing but a failure: it must not be waited for.
  await expect(batching.add(1, async () => Promise.reject(new Error("none")))).rejects.toThrow("none");
  expect(await add(8)).toBe(8);
});

test("a caller that gives up is not computed, and no other gets its place", async () => {
  const { sizes, add, hold } = open(8);
  const end = hold();
  const first = add(1);
  while (sizes.length < 1) await Bun.sleep(1);
  const stop = new AbortController();
  const waits = [add(2), add(3, { signal: stop.signal }), add(4)];
  await Bun.sleep(1);
  stop.abort(new Error("gone"));
  await expect(waits[1]!).rejects.toThrow("gone");
  end();
  expect(await Promise.all([first, waits[0], waits[2]])).toEqual([1, 2, 4]);
  expect(sizes).toEqual([1, 2]);
  await expect(add(5, { signal: stop.signal })).rejects.toThrow("gone");
});
