/** What ranks do together, with ranks that live in one process. */
import { expect, test } from "bun:test";
import { shapes } from "../../src/data/shapes.ts";
import { RankError, UsageError } from "../../src/errors.ts";
import { Answers } from "../../src/inference/answers.ts";
import { agree, fingerprint, settingsOf, shareOfBatch } from "../../src/ranks/agreement.ts";
import { gatherAnswers } from "../../src/ranks/answer_together.ts";
import { ALONE, type Ranks } from "../../src/ranks/ranks.ts";

/** So many ranks that wait for each other, each with what it is given. */
function ranksOf(size: number): Ranks[] {
  const calls: { parts: (Uint8Array | undefined)[]; all: PromiseWithResolvers<Uint8Array[]> }[] = [];
  return Array.from({ length: size }, (_, rank) => {
    let next = 0;
    return {
      ...{ ...ALONE, rank, size },
      gather(bytes: Uint8Array) {
        const call = (calls[next++] ??= { parts: new Array(size).fill(undefined), all: Promise.withResolvers() });
        call.parts[rank] = bytes;
        if (call.parts.every((part) => part !== undefined)) call.all.resolve(call.parts as Uint8Array[]);
        return call.all.promise;
      },
    };
  });
}

const together = <T>(size: number, work: (ranks: Ranks) => Promise<T>) =>
  Promise.allSettled(ranksOf(size).map((ranks) => work(ranks)));

test("who differs from rank 0 is named, with both values, on every rank", async () => {
  const ended = await together(3, (ranks) => agree(ranks, () => ({ seed: 1, data: ranks.rank === 2 ? "b" : "a" })));
  for (const [rank, end] of ended.entries()) {
    const { reason } = end as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(RankError);
    expect(reason.message).toBe(
      'rank 2 of 3 differs from rank 0: data is "b", on rank 0 it is "a": start all ranks with the same program, options and data',
    );
    // One of them says it.
    expect(reason.said).toBe(rank !== 0);
  }
  const alike = await together(3, (ranks) => agree(ranks, () => ({ seed: 1 })));
  expect(alike.every(({ status }) => status === "fulfilled")).toBe(true);
});

test("a set is known by its images, names and classes", async () => {
  const a = shapes({ size: 8, train: 40 }).train;
  expect(await fingerprint(a)).toBe(await fingerprint(shapes({ size: 8, train: 40 }).train));
  const others = [
    shapes({ size: 8, train: 50 }).train,
    { ...a, classes: a.classes.toReversed() },
    { ...a, label: (i: number) => (i === 39 ? (a.label(i) + 1) % 10 : a.label(i)) },
    { ...a, nameOf: (i: number) => `${a.nameOf(i)}${i === 7 ? "!" : ""}` },
    { ...a, read: async (i: number) => a.read(i === 0 ? 1 : i) },
  ];
  for (const other of others) expect(await fingerprint(other)).not.toBe(await fingerprint(a));
});

test("each rank may compute on another device; all else is told alike", () => {
  const [a, b] = [settingsOf({ seed: 3, device: "cpu", threads: 2 }), settingsOf({ seed: 3, device: "gpu" })];
  expect(a).toEqual(b);
  expect(a).toMatchObject({ seed: 3, bun: Bun.version, program: expect.stringMatching(/^[0-9a-f]+$/) });
});

test("a batch has an image for each rank at least", () => {
  expect(shareOfBatch(5, { ...ALONE, rank: 1, size: 2 })).toEqual({ first: 2, count: 3 });
  expect(() => shareOfBatch(2, { ...ALONE, size: 3 })).toThrow(UsageError);
});

/** Answers about images `first` to `first + count`. */
function answers(first: number, count: number): Answers {
  const made = new Answers(3, count);
  for (let i = first; i < first + count; i++) made.add(i, i % 3, Float64Array.of(0.2, 0.5, 0.3));
  return made;
}

test("answers of all ranks are those of one; of none when one was stopped", async () => {
  const expected = answers(0, 7);
  const parts = [answers(0, 3), new Answers(3, 0), answers(3, 4)];
  await together(3, async (ranks) => {
    const all = new Answers(3, 7);
    expect(await gatherAnswers(ranks, parts[ranks.rank], all)).toBe(true);
    expect(Array.from({ length: 7 }, (_, i) => all.at(i))).toEqual(Array.from({ length: 7 }, (_, i) => expected.at(i)));
    expect(all.scores(3)).toEqual(expected.scores(3));
  }).then(failNot);
  await together(3, async (ranks) => {
    expect(await gatherAnswers(ranks, ranks.rank === 1 ? undefined : answers(0, 1), new Answers(3, 7))).toBe(false);
  }).then(failNot);
});

function failNot(ended: readonly PromiseSettledResult<unknown>[]): void {
  for (const end of ended) if (end.status === "rejected") throw end.reason;
}
