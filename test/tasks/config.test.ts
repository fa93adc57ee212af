/** What is made of the options, and what of the network's recipe. */
import { describe, expect, test } from "bun:test";
import { UsageError } from "../../src/errors.ts";
import { alexnet2012, findNetwork } from "../../src/model/networks.ts";
import { rateAt, freshSchedule } from "../../src/optim/schedule.ts";
import { changeConfig, makeConfig, rateForClasses, type TrainOptions } from "../../src/tasks/config.ts";

const make = (options: TrainOptions, network = "alexnet") => makeConfig(options, network, "/data", null);

test("nothing said: the recipe as it stands", () => {
  const { batch, epochs, schedule, momentum, decay, biasRate, biasDecay, augmentation } = make({}, "alexnet-2012");
  expect({ batch, epochs, schedule, momentum, decay, biasRate, biasDecay, augmentation }).toEqual(alexnet2012.recipe);
  expect(make({})).toMatchObject({ seed: 0, holdOut: 0.1, device: "auto", blas: null, threads: null });
});

test("the built-in set has a part of its own to validate with", () => {
  expect(() => makeConfig({ holdOut: 0.2 }, "small", null, null)).toThrow(UsageError);
  expect(() => makeConfig({}, "small", null, "/val")).toThrow(/--val is for images of your own/);
  expect(makeConfig({}, "small", null, null)).toMatchObject({ data: null, val: null });
});

test("config.json holds all of it", () => {
  const config = make({ device: "cpu", blas: false, threads: 3, seed: 7, rate: 0.1 }, "alexnet-2012");
  expect(JSON.parse(JSON.stringify(config))).toEqual(config);
});

describe("rates and schedules", () => {
  const rates = (options: TrainOptions, at: readonly number[], layer = "", network = "alexnet") => {
    const { schedule, epochs } = make(options, network);
    return at.map((epoch) => rateAt(schedule, freshSchedule(), epoch, epochs, layer));
  };

  test("a rate scales every phase and every layer's own", () => {
    const at = [0, 23, 51, 68, 72, 78];
    const expected = [0.1, 0.01, 0.001, 0.0001, 0, 0.0001];
    rates({ rate: 0.1 }, at, "conv1", "alexnet-2012").forEach((rate, i) => expect(rate).toBeCloseTo(expected[i]!, 12));
  });

  test("steps divide by ten, in whatever order they are said", () => {
    const at = [0, 29, 30, 59, 60];
    for (const schedule of ["steps:30,60", "steps:60,30"]) {
      const expected = [0.5, 0.5, 0.05, 0.05, 0.005];
      rates({ schedule, rate: 0.5 }, at).forEach((rate, i) => expect(rate).toBeCloseTo(expected[i]!, 12));
    }
  });

  test("another schedule starts at the recipe's rate", () => {
    expect(make({ schedule: "cosine" }).schedule).toEqual({ kind: "cosine", rate: 0.01 });
    expect(make({ schedule: "constant" }, "alexnet-2012").schedule).toEqual({ kind: "constant", rate: 0.01 });
    expect(make({ schedule: "plateau", rate: 1 }).schedule).toEqual({
      kind: "plateau",
      rate: 1,
      patience: 5,
      drops: 3,
    });
  });

  test("fewer classes than the network was published with: the rate times the root of their share", () => {
    const rate = (network: string, classes: number) =>
      rateAt(rateForClasses(make({}, network), classes).schedule, freshSchedule(), 51, 90, "fc8");
    // 0.01 √(2/1000) = 0.000447…, to two digits; in the third phase a hundredth of it.
    expect(rate("alexnet", 2)).toBe(0.00045);
    expect(rate("alexnet-2012", 2)).toBeCloseTo(0.0000045, 12);
    expect([1000, 2000].map((classes) => rate("alexnet", classes))).toEqual([0.01, 0.01]);
  });

  test("the recipe's schedule from another rate", () => {
    const { schedule } = findNetwork("alexnet").recipe;
    expect(make({ rate: 0.3 }).schedule).toEqual({ ...schedule, rate: 0.3 } as typeof schedule);
  });
});

describe("augmentation", () => {
  const augmentation = (augment: string, network?: string) => make({ augment }, network).augmentation;

  test("none, or some", () => {
    expect(augmentation("none")).toMatchObject({ crop: false, mirror: false, colour: 0 });
    expect(augmentation("mirror")).toMatchObject({ crop: false, mirror: true, colour: 0 });
    expect(augmentation("crop,color")).toMatchObject({ crop: true, mirror: false, colour: 0.1 });
    expect(augmentation("colour", "cifar10-18pct")).toMatchObject({ crop: false, mirror: false, colour: 0.1 });
  });

  test("unknown ones", () => {
    for (const augment of ["foo", "", "crop,", "crop, mirror"]) expect(() => augmentation(augment)).toThrow(UsageError);
  });
});

describe("a resumed run", () => {
  const config = make({ device: "gpu:1", seed: 3 });

  test("keeps what is not said, and takes epochs and device", () => {
    expect(changeConfig(config, { resume: "x" })).toEqual(config);
    expect(changeConfig(config, { resume: "x", epochs: 5 })).toEqual({ ...config, epochs: 5 });
    expect(changeConfig(config, { resume: "x", device: "cpu", threads: 2 })).toEqual({
      ...config,
      device: "cpu",
      threads: 2,
    });
  });

  test("on another device forgets the options of the first", () => {
    const cpu = make({ device: "cpu", threads: 2, blas: false });
    expect(changeConfig(cpu, { device: "gpu" })).toMatchObject({ device: "gpu", threads: null, blas: null });
    expect(changeConfig(cpu, { blas: true })).toMatchObject({ device: "cpu", threads: 2, blas: true });
    const gpu = make({ device: "gpu", tune: false });
    expect(changeConfig(gpu, { epochs: 3 })).toMatchObject({ device: "gpu", tune: false });
    expect(changeConfig(gpu, { tune: true })).toMatchObject({ device: "gpu", tune: true });
    expect(changeConfig(gpu, { device: "cpu" })).toMatchObject({ device: "cpu", tune: null });
  });

  test("refuses the rest", () => {
    for (const options of [{ rate: 1 }, { seed: 3 }, { data: "y" }, { holdOut: 0.2 }, { out: "z" }, { epochs: -1 }]) {
      expect(() => changeConfig(config, { resume: "x", ...options })).toThrow(UsageError);
    }
  });
});
