import { describe, expect, test } from "bun:test";
import { cifar18 } from "../../src/net/cifar_networks.ts";
import { alexnet2012 } from "../../src/net/networks.ts";
import type { Schedule } from "../../src/net/recipe.ts";
import { afterEpoch, colourAt, freshSchedule, rateAt } from "../../src/net/schedule.ts";

const fresh = freshSchedule();

describe("phases of the 2012 program", () => {
  const { schedule, epochs } = alexnet2012.recipe;
  const rate = (progress: number, layer: string) => rateAt(schedule, fresh, progress, epochs, layer);

  test("rates fall at the start of epochs 23, 51 and 78, counted from 0", () => {
    const at = [0, 22.999, 23, 50.999, 51, 67.999, 68, 77.999, 78, 92.999];
    const expected = [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001, 0.0001, 0.0001, 0.00001, 0.00001];
    expect(at.map((progress) => rate(progress, "conv2"))).toEqual(expected);
    expect(at.map((progress) => rate(progress, "fc8"))).toEqual(expected);
  });

  test("conv1 slows down at 68, is frozen from 72 to 78, then goes on with the others", () => {
    const at = [0, 67.999, 68, 71.999, 72, 77.999, 78];
    expect(at.map((progress) => rate(progress, "conv1"))).toEqual([0.01, 0.0001, 0.00001, 0.00001, 0, 0, 0.00001]);
  });

  test("colour noise ends at 68", () => {
    expect([0, 51, 67.999, 68, 72, 78, 92].map((progress) => colourAt(schedule, progress))).toEqual([
      ...[true, true, true],
      ...[false, false, false, false],
    ]);
  });

  test("CIFAR-10: after 120 and 130 epochs", () => {
    const at = [0, 119.999, 120, 129.999, 130, 139];
    expect(at.map((progress) => rateAt(cifar18.recipe.schedule, fresh, progress, 140))).toEqual([
      ...[0.001, 0.001, 0.0001, 0.0001, 0.00001, 0.00001],
    ]);
  });
});

describe("constant and cosine", () => {
  test("constant stays", () => {
    const schedule: Schedule = { kind: "constant", rate: 0.3 };
    expect([0, 1.5, 9].map((progress) => rateAt(schedule, fresh, progress, 10))).toEqual([0.3, 0.3, 0.3]);
    expect(colourAt(schedule, 9)).toBe(true);
  });

  test("cosine: all of the rate at the start, three quarters after a third, half at half, nothing at the end", () => {
    const schedule: Schedule = { kind: "cosine", rate: 0.4 };
    const expected = [0.4, 0.3, 0.2, 0.1, 0, 0];
    [0, 2, 3, 4, 6, 7].forEach((progress, i) => {
      expect(rateAt(schedule, fresh, progress, 6)).toBeCloseTo(expected[i]!, 12);
    });
  });

  test("triangular: straight lines from a share of the rate to all of it at the peak, and to another share", () => {
    const schedule: Schedule = { kind: "triangular", rate: 2, start: 0.2, peak: 0.25, end: 0.1 };
    const expected = [0.4, 1.2, 2, 1.4, 0.2, 0.2];
    [0, 1, 2, 4, 8, 9].forEach((progress, i) => {
      expect(rateAt(schedule, fresh, progress, 8)).toBeCloseTo(expected[i]!, 12);
    });
  });
});

describe("plateau", () => {
  const schedule: Schedule = { kind: "plateau", rate: 0.01, patience: 2, drops: 2 };
  /** The rate in each epoch, given the validation errors of the epochs before. */
  const course = (errors: readonly number[]) => {
    let state = fresh;
    const rates = [rateAt(schedule, state, 0, 90)];
    for (const error of errors) {
      state = afterEpoch(schedule, state, error);
      rates.push(rateAt(schedule, state, 0, 90));
    }
    return rates;
  };

  test("the first error is an improvement, whatever it is", () => {
    expect(afterEpoch(schedule, fresh, 1)).toEqual({ best: 1, waited: 0, drops: 0 });
  });

  test("falls by ten after two epochs without improvement, waits anew, and falls only twice", () => {
    expect(course([0.9, 0.8, 0.8, 0.85])).toEqual([0.01, 0.01, 0.01, 0.01, 0.001]);
    expect(course([0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])).toEqual([
      ...[0.01, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001, 0.0001, 0.0001, 0.0001],
    ]);
  });

  test("an improvement in between starts the count again; the best counts, not the last", () => {
    expect(course([0.9, 0.95, 0.8, 0.95])).toEqual([0.01, 0.01, 0.01, 0.01, 0.01]);
    expect(course([0.5, 0.9, 0.8])).toEqual([0.01, 0.01, 0.01, 0.001]);
  });

  test("its memory survives JSON, which has no Infinity", () => {
    const stored = JSON.parse(JSON.stringify(fresh));
    expect(stored).toEqual(fresh);
    expect(afterEpoch(schedule, stored, 0.7).best).toBe(0.7);
  });
});
