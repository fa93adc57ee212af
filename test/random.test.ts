import { describe, expect, test } from "bun:test";
import { Purpose, Random, streamKey, threefry } from "../src/random.ts";

describe("Threefry-2x32-20: the known answers of Random123's kat_vectors", () => {
  test.each([
    [0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ])("key %d %d, counter %d %d", (k0, k1, c0, c1, x0, x1) => {
    expect(threefry(k0, k1, c0, c1)).toEqual([x0, x1]);
  });
});

describe("streams", () => {
  test("the same arguments give the same numbers", () => {
    const draw = () => {
      const random = new Random(11, Purpose.augment, 2, 3);
      return Array.from({ length: 9 }, () => random.uniform());
    };
    expect(draw()).toEqual(draw());
  });

  test("seed (beyond 32 bits too), purpose and both indices tell them apart", () => {
    const keys = [
      streamKey(1, Purpose.shuffle),
      streamKey(2, Purpose.shuffle),
      streamKey(1 + 2 ** 32, Purpose.shuffle),
      streamKey(1, Purpose.augment),
      streamKey(1, Purpose.shuffle, 1),
      streamKey(1, Purpose.shuffle, 0, 1),
    ].map(String);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("words are the blocks of the counters 0, 1, …, one after the other", () => {
    const [k0, k1] = streamKey(5, Purpose.weights);
    const random = new Random(5, Purpose.weights);
    const words = Array.from({ length: 5 }, () => random.word());
    expect(words).toEqual([0, 1, 2].flatMap((counter) => threefry(k0, k1, counter, 0)).slice(0, 5));
  });
});

/** Means of the first four powers. */
function moments(draw: () => number, count: number): number[] {
  const sums = [0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const x = draw();
    for (let power = 1, value = x; power <= 4; power++, value *= x) sums[power - 1]! += value;
  }
  return sums.map((sum) => sum / count);
}

describe("distributions (200,000 draws; bounds are five standard deviations)", () => {
  const COUNT = 200_000;
  const within = (values: number[], expected: number[], deviations: number[]) =>
    values.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan((5 * deviations[i]!) / Math.sqrt(COUNT));
    });

  test("uniform: E xᵏ = 1 / (k + 1)", () => {
    const random = new Random(1, Purpose.drawing);
    const variances = [1, 2, 3, 4].map((k) => 1 / (2 * k + 1) - 1 / (k + 1) ** 2);
    within(
      moments(() => random.uniform(), COUNT),
      [1 / 2, 1 / 3, 1 / 4, 1 / 5],
      variances.map(Math.sqrt),
    );
  });

  test("normal: 0, 1, 0, 3", () => {
    const random = new Random(2, Purpose.drawing);
    // E x²ᵏ = (2k − 1)!!: the variances of x … x⁴ are 1, 3 − 1, 15, 105 − 9.
    within(
      moments(() => random.normal(), COUNT),
      [0, 1, 0, 3],
      [1, 2, 15, 96].map(Math.sqrt),
    );
  });

  test("neighbouring normals are not correlated", () => {
    const random = new Random(3, Purpose.drawing);
    within([moments(() => random.normal() * random.normal(), COUNT)[0]!], [0], [1]);
  });

  test("integers below 6 are equally frequent", () => {
    const random = new Random(4, Purpose.drawing);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < COUNT; i++) counts[random.integer(6)]!++;
    within(
      counts.map((count) => count / COUNT),
      counts.map(() => 1 / 6),
      counts.map(() => Math.sqrt(5 / 36)),
    );
  });
});

describe("permutation", () => {
  test("holds every index once, and is not the identity", () => {
    for (const n of [0, 1, 2, 1000]) {
      const order = new Random(1, Purpose.shuffle).permutation(n);
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    }
    const order = new Random(1, Purpose.shuffle).permutation(1000);
    expect(order.filter((value, i) => value === i).length).toBeLessThan(10);
  });

  test("all orders of three are equally frequent", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = new Random(seed, Purpose.shuffle).permutation(3).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // 1,000 each, standard deviation 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(145);
  });
});
