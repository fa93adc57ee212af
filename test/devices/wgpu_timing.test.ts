/** What is concluded from times, on GPUs that are made up: nothing here takes time or depends on it. */
import { describe, expect, test } from "bun:test";
import type { Gpu } from "../../src/devices/wgpu/gpu.ts";
import { findParallelWorkgroups } from "../../src/devices/wgpu/parallel.ts";
import type { Timer } from "../../src/devices/wgpu/queue.ts";
import { leastTime } from "../../src/devices/wgpu/timers.ts";
import { timeCandidates } from "../../src/devices/wgpu/tuner.ts";
import { DeviceError } from "../../src/errors.ts";

/** A GPU whose clock is slow until it has worked for some time. */
class FakeGpu {
  /** In ms. */
  time = 0;
  /** What ran. */
  readonly runs: (string | number)[] = [];
  readonly #idleClock: number;
  readonly #idleMs: number;

  /** @param idleClock how many times faster its full clock is, which it reaches after `idleMs` */
  constructor(idleClock = 1, idleMs = 0) {
    this.#idleClock = idleClock;
    this.#idleMs = idleMs;
  }

  now = (): number => this.time;

  /** Runs something that takes `ms` at full clock. @returns how long it took */
  run(what: string | number, ms: number): number {
    const taken = this.time < this.#idleMs ? ms * this.#idleClock : ms;
    this.time += taken;
    this.runs.push(what);
    return taken;
  }
}

describe("how many workgroups run at once", () => {
  /** The time of `groups` workgroups on a GPU of `cores` cores. */
  const ideal = (groups: number, cores: number) => 0.1 * Math.ceil(groups / cores);

  test.each([
    [2, 2],
    [64, 64],
    // An RTX 4090's, an H200's: no power of two.
    [128, 128],
    [132, 128],
    [100_000, 4096],
    // It is at least 2, since no GPU has a single core.
    [1, 2],
  ])("%d cores: %d", (cores, count) => {
    const gpu = new FakeGpu();
    expect(findParallelWorkgroups((groups) => gpu.run(groups, ideal(groups, cores)), gpu.now)).toBe(count);
  });

  test("a clock that rises changes nothing, whenever it does", () => {
    for (let idleMs = 0; idleMs < 120; idleMs += 0.05) {
      const gpu = new FakeGpu(4, idleMs);
      expect(findParallelWorkgroups((groups) => gpu.run(groups, ideal(groups, 128)), gpu.now)).toBe(128);
    }
  });

  test.each([0, 1, 2, 5])("a single time that is far too long, in doubling %d, changes nothing", (doubling) => {
    const gpu = new FakeGpu();
    let isDisturbed = false;
    const time = (groups: number) => {
      if (isDisturbed || groups !== 4 << doubling) return gpu.run(groups, ideal(groups, 128));
      isDisturbed = true;
      return gpu.run(groups, 1);
    };
    expect(findParallelWorkgroups(time, gpu.now)).toBe(128);
    expect(isDisturbed).toBe(true);
  });

  test("times that never repeat are taken after a second", () => {
    const gpu = new FakeGpu();
    const time = (groups: number) => gpu.run(groups, ideal(groups, 128) * (1 + 0.1 * (gpu.runs.length % 3)));
    expect(findParallelWorkgroups(time, gpu.now)).toBe(128);
    expect(gpu.time).toBeWithin(1000, 1100);
  });
});

describe("which candidate is the fastest", () => {
  const costs: Readonly<Record<string, number>> = { own: 0.1, fast: 0.05, slow: 1, close: 0.07 };
  const names = ["own", "fast", "slow", "close"];

  /** Times these candidates. */
  function timed(gpu: FakeGpu, candidates: readonly string[], warmUpMs: number) {
    const time = (name: string, runs: number) => {
      let least = Infinity;
      for (let run = 0; run < runs; run++) least = Math.min(least, gpu.run(name, costs[name]!));
      return least;
    };
    return timeCandidates(candidates, time, gpu.now, warmUpMs);
  }

  test("each has its own time", () => {
    expect(Object.fromEntries(timed(new FakeGpu(), names, 0))).toEqual(costs);
  });

  test("one that is far slower is left out early", () => {
    const gpu = new FakeGpu();
    timed(gpu, names, 0);
    const runs = (name: string) => gpu.runs.filter((ran) => ran === name).length;
    expect(runs("slow")).toBe(2);
    expect(runs("own")).toBe(1 + 10);
    expect(runs("fast")).toBe(1 + 4 * 16);
    expect(runs("close")).toBe(1 + 4 * 15);
  });

  test("one that runs at the idle clock is not left out, however long that lasts", () => {
    for (let idleMs = 0; idleMs < 50; idleMs += 0.05) {
      const gpu = new FakeGpu(4, idleMs);
      expect(timed(gpu, ["fast", "own", "close"], 50).get("fast")).toBe(costs.fast!);
    }
  });

  test("the first run of each, during which the clock may rise, leaves none out", () => {
    for (let idleMs = 0; idleMs < 0.5; idleMs += 0.05) {
      const gpu = new FakeGpu(4, idleMs);
      expect(timed(gpu, ["fast", "own", "close"], 0).get("fast")).toBe(costs.fast!);
    }
  });

  test("a GPU at work is not warmed up again", () => {
    const [cold, warm] = [new FakeGpu(), new FakeGpu()];
    timed(cold, names, 50);
    timed(warm, names, 0);
    expect(cold.time - warm.time).toBeWithin(50, 52);
  });

  test("on a slow GPU each runs twice", () => {
    const gpu = new FakeGpu(1e4, Infinity);
    timed(gpu, ["own", "fast", "close"], 50);
    // The first of them once more for the warm-up.
    expect(gpu.runs).toEqual(["own", "fast", "close", "own", "own", "fast", "close"]);
  });

  test("one that does not run has no time", () => {
    const times = timeCandidates(["own", "large"], (name) => (name === "large" ? undefined : 1), new FakeGpu().now, 0);
    expect(Object.fromEntries(times)).toEqual({ own: 1 });
  });
});

describe("the least time of a kernel", () => {
  /** What a kernel's runs take by clocks that say so, and the timers that were used and closed. */
  function least(...clocks: readonly number[][]) {
    const closed: number[] = [];
    const queue: { timer: Timer | undefined } = { timer: undefined };
    const timers = clocks.map((times, clock) => () => {
      const readNow = () => times.map((ms) => ({ kernel: "k", ms }));
      return {
        before: () => 0,
        after() {},
        read: async () => readNow(),
        readNow,
        close: () => void closed.push(clock),
      };
    });
    let runs = 0;
    const parts = { device: { name: "a GPU" }, queue, clock: { now: () => 0, timers } } as unknown as Gpu;
    const ms = leastTime(parts, 3, () => void (queue.timer && runs++));
    expect(queue.timer).toBeUndefined();
    return { ms, closed, runs };
  }

  test("is that of the device's clock", () => {
    expect(least([3, 2, 4], [1, 1, 1])).toEqual({ ms: 2, closed: [0], runs: 3 });
  });

  test("is not one of 0, less than 0, or none, as from a clock that stood still or jumped", () => {
    expect(least([0, 2, -1], [1, 1, 1])).toMatchObject({ ms: 2 });
    expect(least([NaN, 5, 0], [1, 1, 1])).toMatchObject({ ms: 5 });
  });

  test("is the sum of a run's kernels, in runs where each has a time", () => {
    expect(least([3, 2, 4, 0.5, 1, 0], [1, 1, 1])).toMatchObject({ ms: 4.5 });
    expect(least([0, 2, 4, 0, -1, 1], [5, 1, 3, 2, 9, 9])).toMatchObject({ ms: 5 });
  });

  test("is that of the host's clock where the device's gives none", () => {
    expect(least([0, 0, -1], [9, 7, 8])).toEqual({ ms: 7, closed: [0, 1], runs: 6 });
  });

  test("is an error where no clock gives one", () => {
    expect(() => least([0], [0])).toThrow(DeviceError);
  });
});
