/** Which images an epoch sees: all once, or of classes by weight; and parts of a set. */
import { describe, expect, test } from "bun:test";
import type { Dataset } from "../../src/data/dataset.ts";
import { balancedWeights, epochOrder, namedWeights, reduce } from "../../src/data/sampling.ts";
import { DataError } from "../../src/errors.ts";
import { Purpose, Random } from "../../src/random.ts";

/** A set with `counts[k]` images of class k, in mixed order. */
function setOf(...counts: readonly number[]): Dataset {
  const labels = counts.flatMap((count, label) => new Array<number>(count).fill(label));
  const order = new Random(3, Purpose.drawing).permutation(labels.length);
  return {
    name: "set",
    classes: counts.map((_, label) => `class ${label}`),
    length: labels.length,
    label: (i) => labels[order[i]!]!,
    nameOf: (i) => `image ${i}`,
    read: () => Promise.reject(new Error("not read here")),
    close: async () => {},
  };
}

const all = (set: Dataset) => Uint32Array.from({ length: set.length }, (_, i) => i);
const sorted = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);
const labelsOf = (set: Dataset, order: Iterable<number>) => [...order].map((i) => set.label(i));
const countBy = (values: Iterable<number>, length: number) => {
  const counts = new Array<number>(length).fill(0);
  for (const value of values) counts[value]!++;
  return counts;
};

const uneven = setOf(100, 10, 1);

describe("an epoch", () => {
  test("without weights is a permutation, by seed and epoch", () => {
    const order = (seed: number, epoch: number) => epochOrder(uneven, all(uneven), { seed, epoch });
    expect(sorted(order(1, 0))).toEqual([...all(uneven)]);
    expect(order(1, 0)).toEqual(order(1, 0));
    expect(order(1, 0)).not.toEqual(all(uneven));
    expect(order(1, 1)).not.toEqual(order(1, 0));
    expect(order(2, 0)).not.toEqual(order(1, 0));
  });

  test("of fewer images goes on where the one before it ended", () => {
    const images = 40;
    const short = (epoch: number) => [...epochOrder(uneven, all(uneven), { seed: 1, epoch, images })];
    const whole = (epoch: number) => [...epochOrder(uneven, all(uneven), { seed: 1, epoch })];
    const row = [...whole(0), ...whole(1)];
    expect([0, 1, 2, 3, 4].flatMap(short)).toEqual(row.slice(0, 5 * images));
    expect([...epochOrder(uneven, all(uneven), { seed: 1, epoch: 1, images: 111 })]).toEqual(whole(1));
  });

  test.each([
    [0, [100, 10, 1]],
    // 111 in proportion to √100, √10 and 1: 78.4, 24.8 and 7.8.
    [0.5, [78, 25, 8]],
    [1, [37, 37, 37]],
  ] as const)(
    "balanced by %p: %p of the classes, each image as often as others of its class, give or take one",
    (balance, quotas) => {
      const weights = balancedWeights(uneven, balance);
      const order = epochOrder(uneven, all(uneven), { seed: 5, epoch: 2, weights });
      expect(countBy(labelsOf(uneven, order), 3)).toEqual([...quotas]);
      const times = countBy(order, uneven.length);
      quotas.forEach((quota, label) => {
        const own = times.filter((_, i) => uneven.label(i) === label);
        const least = Math.floor(quota / own.length);
        expect(own.every((n) => n === least || n === least + 1)).toBe(true);
      });
    },
  );

  test("with weights, the same by seed and epoch, another choice in another, the classes mixed", () => {
    const weights = balancedWeights(uneven, 1);
    const order = (seed: number, epoch: number) => epochOrder(uneven, all(uneven), { seed, epoch, weights });
    expect(order(5, 2)).toEqual(order(5, 2));
    const firstClass = (seed: number, epoch: number) => sorted(order(seed, epoch)).filter((i) => uneven.label(i) === 0);
    expect(firstClass(5, 3)).not.toEqual(firstClass(5, 2));
    expect(firstClass(6, 2)).not.toEqual(firstClass(5, 2));
    const half = countBy(labelsOf(uneven, order(5, 2).subarray(0, 55)), 3);
    for (const count of half) expect(count).toBeGreaterThan(8);
  });

  test("over a few epochs a balanced one sees all images", () => {
    const seen = new Set<number>();
    const weights = balancedWeights(uneven, 1);
    for (let epoch = 0; epoch < 20; epoch++) {
      for (const i of epochOrder(uneven, all(uneven), { seed: 0, epoch, weights })) seen.add(i);
    }
    expect(seen.size).toBe(uneven.length);
  });

  test("of some images only, and of no class that weighs nothing", () => {
    const samples = all(uneven).filter((i) => i % 2 === 0);
    const order = epochOrder(uneven, samples, { seed: 1, epoch: 0, weights: [1, 0, 0] });
    expect(order.length).toBe(samples.length);
    expect([...order].every((i) => i % 2 === 0 && uneven.label(i) === 0)).toBe(true);
  });

  test("has as many images for any weights, within one of what each class is due", () => {
    const random = new Random(9, Purpose.drawing);
    for (let round = 0; round < 200; round++) {
      const counts = Array.from({ length: 1 + random.integer(6) }, () => random.integer(30));
      counts.push(1 + random.integer(30));
      const set = setOf(...counts);
      const weights = counts.map((_, k) => (random.uniform() < 0.2 && k > 0 ? 0 : 10 ** random.between(-3, 3)));
      weights[counts.length - 1] = 1;
      const order = epochOrder(set, all(set), { seed: round, epoch: 0, weights });
      const shares = counts.map((n, k) => n * weights[k]!);
      const total = shares.reduce((a, b) => a + b, 0);
      countBy(labelsOf(set, order), counts.length).forEach((n, k) => {
        expect(Math.abs(n - (shares[k]! / total) * set.length)).toBeLessThan(1);
      });
      expect(order.length).toBe(set.length);
    }
  });
});

describe("weights by name", () => {
  const wrong = (set: Dataset, weights: Record<string, number>): string => {
    try {
      namedWeights(set, weights);
    } catch (error) {
      expect(error).toBeInstanceOf(DataError);
      return (error as DataError).message;
    }
    return "no complaint";
  };

  test("are 1 by default, also for classes named like properties of every object", () => {
    expect(namedWeights(uneven, { "class 1": 2.5, "class 2": 0 })).toEqual([1, 2.5, 0]);
    const odd = { ...uneven, classes: ["toString", "constructor", "__proto__"] };
    expect(namedWeights(odd, {})).toEqual([1, 1, 1]);
  });

  test("must be of classes, and leave an image", () => {
    expect(wrong(uneven, { "class 3": 1 })).toBe('weights names "class 3", which is not a class of set');
    const nothing = "weights leaves no image of set: all classes with images have weight 0";
    expect(wrong(uneven, { "class 0": 0, "class 1": 0, "class 2": 0 })).toBe(nothing);
    // The only class that counts has no image.
    expect(wrong(setOf(3, 0), { "class 0": 0 })).toBe(nothing);
  });
});

describe("a part of a set", () => {
  const membersOf = (set: Dataset) => Array.from({ length: set.length }, (_, i) => Number(set.nameOf(i).split(" ")[1]));

  test("a fraction of each class, one image at least, in the order of the whole", () => {
    const part = reduce(uneven, 0.25, Infinity, 0);
    const members = membersOf(part);
    expect(countBy(labelsOf(part, all(part)), 3)).toEqual([25, 3, 1]);
    expect(members).toEqual(sorted(members));
    expect(labelsOf(part, all(part))).toEqual(labelsOf(uneven, members));
    expect(part.classes).toEqual(uneven.classes);
    const least = reduce(setOf(100, 10, 1, 0), 0.001, Infinity, 0);
    expect(countBy(labelsOf(least, all(least)), 4)).toEqual([1, 1, 1, 0]);
  });

  test("at most `limit`, chosen from all of them; the seed decides which", () => {
    const limited = (limit: number, seed: number, fraction = 1) => membersOf(reduce(uneven, fraction, limit, seed));
    expect(limited(40, 1).length).toBe(40);
    expect(new Set(limited(40, 1)).size).toBe(40);
    expect(limited(40, 1)).toEqual(limited(40, 1));
    expect(limited(40, 2)).not.toEqual(limited(40, 1));
    // Not the first ones.
    expect(limited(40, 1).at(-1)).toBeGreaterThan(60);
    expect(limited(5, 1, 0.25).length).toBe(5);
    expect(limited(1000, 1, 0.25).length).toBe(29);
    expect(limited(1, 1).length).toBe(1);
  });

  test("is the set itself when nothing is left out", () => {
    expect(reduce(uneven, 1, Infinity, 0)).toBe(uneven);
    expect(reduce(uneven, 1, 111, 0)).toBe(uneven);
    expect(reduce(uneven, 1, 110, 0).length).toBe(110);
  });
});
