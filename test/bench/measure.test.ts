/** Times: what is made of samples, and who is measured when. */
import { describe, expect, test } from "bun:test";
import { extrapolate } from "../../bench/bench.ts";
import { alternate, type Warm } from "../../bench/measure.ts";
import { times } from "../../bench/results.ts";

test("best, median of an odd and an even number of samples, and their order kept", () => {
  expect(times([3, 1, 2])).toEqual({ best: 1, median: 2, count: 3, samples: [3, 1, 2] });
  expect(times([4, 1, 2, 10])).toEqual({ best: 1, median: 3, count: 4, samples: [4, 1, 2, 10] });
  expect(() => times([])).toThrow("no samples");
});

describe("alternate", () => {
  const log: string[] = [];
  const contestant = (name: string, ms: number): Warm => ({
    ms,
    run: async (repeats) => {
      log.push(name);
      return Array<number>(repeats).fill(ms);
    },
  });

  test("contestants take turns", async () => {
    log.length = 0;
    const samples = await alternate([contestant("a", 50), contestant("b", 60)], { rowMs: 0, least: 3, most: 9 });
    expect(log).toEqual(["a", "b", "a", "b", "a", "b"]);
    expect(samples).toEqual([
      [50, 50, 50],
      [60, 60, 60],
    ]);
  });

  test("short work is repeated within a turn, but never measured more often than the most", async () => {
    log.length = 0;
    const [short, long] = await alternate([contestant("short", 4), contestant("long", 60)], {
      rowMs: 0,
      least: 7,
      most: 7,
    });
    expect(log.filter((name) => name === "short").length).toBe(2);
    expect(short!.length).toBe(7);
    expect(long!.length).toBe(7);
  });

  test("nothing to measure", async () => {
    expect(await alternate([], { rowMs: 0, least: 3, most: 9 })).toEqual([]);
  });
});

test("how long more work takes: in proportion, or along a line", () => {
  expect(extrapolate([{ amount: 2, ms: 10 }], 20)).toBe(100);
  expect(extrapolate([{ amount: 1, ms: 110 }, { amount: 4, ms: 140 }], 16)).toBe(260); // prettier-ignore
  // Never less than what was seen.
  expect(extrapolate([{ amount: 1, ms: 110 }, { amount: 4, ms: 90 }], 16)).toBe(90); // prettier-ignore
});
