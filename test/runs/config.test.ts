/** What is made of the options, and what of the network's recipe. */
import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { alexnet2012, findNetwork, networks } from "../../src/net/networks.ts";
import { MODERN_AUGMENTATION, NO_AUGMENTATION, PAPER_AUGMENTATION } from "../../src/net/recipe.ts";
import { rateAt, freshSchedule } from "../../src/net/schedule.ts";
import { changeConfig, makeConfig, rateForClasses } from "../../src/runs/config.ts";
import { parseConfig } from "../../src/runs/settings.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";

const make = (options: TrainOptions, network = "alexnet") => makeConfig(options, findNetwork(network), "/data", null);

test("nothing said: the recipe as it stands", () => {
  const { batch, epochs, schedule, momentum, decay, biasRate, biasDecay, augmentation } = make({}, "alexnet-2012");
  expect({ batch, epochs, schedule, momentum, decay, biasRate, biasDecay, augmentation }).toEqual(alexnet2012.recipe);
  expect(make({})).toMatchObject({ seed: 0, holdOut: 0.1, device: "auto", blas: null, threads: null });
});

test("the built-in set has a part of its own to validate with", () => {
  expect(() => makeConfig({ holdOut: 0.2 }, findNetwork("small"), null, null)).toThrow(UsageError);
  expect(() => makeConfig({}, findNetwork("small"), null, "/val")).toThrow(/val is for your own images/);
  expect(makeConfig({}, findNetwork("small"), null, null)).toMatchObject({ data: null, val: null });
});

test("groups: those of the recipe, then those said", () => {
  const mine = { ...alexnet2012, recipe: { ...alexnet2012.recipe, groups: [{ of: "biases", decay: 0 }] } };
  expect(makeConfig({ rates: "conv*=0.1,fc8=10", decays: "fc8.weight=2" }, mine, "/data", null).groups).toEqual([
    { of: "biases", decay: 0 },
    { of: "conv*", rate: 0.1 },
    { of: "fc8", rate: 10 },
    { of: "fc8.weight", decay: 2 },
  ]);
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
    const shares = { start: 0.2, peak: 0.2, end: 0.05 };
    expect(make({ schedule: "triangular" }).schedule).toEqual({ kind: "triangular", rate: 0.01, ...shares });
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

test("averages of the weights, or none", () => {
  const average = (average?: string) => make({ ...(average !== undefined && { average }) }).average;
  expect([average(), average("none")]).toEqual([undefined, undefined]);
  expect(average("ema")).toEqual({ kind: "ema", decay: 0.999 });
  expect(average("ema=0.9")).toEqual({ kind: "ema", decay: 0.9 });
  expect(average("lookahead=3")).toEqual({ kind: "lookahead", decay: 0.95 ** 5, every: 3 });
  for (const wrong of ["ema=1", "ema=", "lookahead=0", "lookahead=2.5", "none=1", "swa", ""]) {
    expect(() => average(wrong)).toThrow(UsageError);
    expect(() => average(wrong)).toThrow(`average ${wrong}: must be none, ema, with a decay from 0 to below 1`);
  }
});

describe("augmentation", () => {
  const augmentation = (augment: string, network?: string) => make({ augment }, network).augmentation;

  test("presets", () => {
    expect(augmentation("none")).toEqual(NO_AUGMENTATION);
    expect(augmentation("paper", "cifar10-18pct")).toEqual(PAPER_AUGMENTATION);
    expect(augmentation("modern")).toEqual(MODERN_AUGMENTATION);
    expect(make({}).augmentation).toEqual(PAPER_AUGMENTATION);
    // The program of 2012 keeps its own ways with crops and noise.
    expect(augmentation("paper", "alexnet-2012")).toEqual({ ...PAPER_AUGMENTATION, sharedCrop: 32, divideBy: 1.1 });
    expect(augmentation("crop", "alexnet-2012")).toMatchObject({ colour: 0, sharedCrop: 32, divideBy: 1.1 });
  });

  test("parts, in place of the recipe's", () => {
    expect(augmentation("mirror")).toEqual({ ...NO_AUGMENTATION, mirror: true });
    expect(augmentation("pad,alternate")).toEqual({ ...NO_AUGMENTATION, pad: 2, alternate: true });
    expect(augmentation("crop,color")).toEqual({ ...NO_AUGMENTATION, crop: true, colour: 0.1 });
    expect(augmentation("crop,mirror,colour=0.3", "cifar10-18pct")).toEqual({ ...PAPER_AUGMENTATION, colour: 0.3 });
    expect(augmentation("resized-crop,mirror,jitter,erase,mixup,cutmix,smooth")).toEqual(MODERN_AUGMENTATION);
  });

  test("presets with parts changed", () => {
    expect(augmentation("paper,mirror=0")).toEqual({ ...PAPER_AUGMENTATION, mirror: false });
    expect(augmentation("modern,mixup=0.4,erase=0")).toEqual({ ...MODERN_AUGMENTATION, mixup: 0.4, erase: 0 });
    expect(augmentation("none,jitter=.5,crop=1")).toEqual({ ...NO_AUGMENTATION, crop: true, jitter: 0.5 });
  });

  test("what there is not, or makes no sense", () => {
    const wrong = (augment: string, message: string) => {
      expect(() => augmentation(augment)).toThrow(UsageError);
      expect(() => augmentation(augment)).toThrow(`augment ${augment}: ${message}`);
    };
    for (const [augment, part] of [
      ["foo", "foo"],
      ["", ""],
      ["crop,", ""],
      ["crop, mirror", " mirror"],
    ]) {
      wrong(augment!, `"${part}" is unknown`);
    }
    wrong(
      "mirorr",
      '"mirorr" is unknown; did you mean "mirror"?; use paper, modern, none, or parts: crop, pad, mirror,',
    );
    wrong("toString", '"toString" is unknown');
    wrong("crop,paper", '"paper" must come first, before the parts that change it');
    wrong("paper=1", '"paper" must come first, before the parts that change it');
    wrong("mirror=0.5", 'mirror must be 0 or 1, not "0.5"');
    wrong("erase=1.5", 'erase must be a probability from 0 to 1, not "1.5"');
    wrong("jitter=-0.1", 'jitter must be a strength from 0 to 1, not "-0.1"');
    wrong("mixup=", 'mixup must be the α of a Beta distribution, from 0 to 100, not ""');
    wrong("cutmix=many", 'cutmix must be the α of a Beta distribution, from 0 to 100, not "many"');
    wrong("colour=NaN", 'colour must be a standard deviation from 0 to 10, not "NaN"');
    wrong("smooth=1", 'smooth must be a share of the label from 0 to 0.9, not "1"');
    wrong("crop=1=2", 'crop must be 0 or 1, not "1=2"');
  });
});

describe("a resumed run", () => {
  const config = make({ device: "gpu:1", seed: 3 });

  test("from before there were resized crops and the like goes on without them", () => {
    const before = { crop: true, mirror: false, colour: 0.1, sharedCrop: 1, divideBy: 1 } as typeof config.augmentation;
    const { augmentation } = parseConfig({ ...config, augmentation: before });
    expect(augmentation).toEqual({ ...PAPER_AUGMENTATION, mirror: false });
  });

  test("from before there were groups has its rates by layer", () => {
    const { groups: _, ...before } = config;
    expect(parseConfig({ ...before, layerRates: { conv1: 0.1 } }).groups).toEqual([{ of: "conv1", rate: 0.1 }]);
    expect(parseConfig(before).groups).toEqual([]);
  });

  test("from before there was a choice of optimizers has SGD", () => {
    const { optimizer: _, ...before } = config;
    expect(parseConfig(before)).toEqual({ ...config, optimizer: "sgd" });
  });

  test.each([
    ["an empty file", {}, "network undefined: must be text"],
    ["no object", [], "it must hold an object of settings"],
    ["a word as a number", { momentum: "a" }, 'momentum "a": must be at least 0 and below 1'],
    ["more epochs than can be counted", { epochs: 1e308 }, "epochs 1e+308: must be a whole number, at least 0"],
    ["a negative limit", { limit: -5 }, "limit -5: must be a whole number above 0"],
    ["negative weights", { weights: { cat: -1 } }, 'weights: "cat" has -1: must be a number, at least 0'],
    [
      "a rate that is none",
      { layerRates: { conv1: "x" } },
      'groups: number 1 is {"of":"conv1","rate":"x"}: must have "of", and "rate" or "decay" of at least 0',
    ],
    ["codes of a terminal", { weights: { "\x1b[31mcat": null } }, 'weights: " [31mcat" has null: must be a number'],
    ["an unknown schedule", { schedule: { kind: "magic" } }, "schedule an Object: must be a schedule with its rates"],
    ["half a pixel", { augmentation: { ...NO_AUGMENTATION, pad: 0.5 } }, "augmentation"],
    [
      "a peak at the end",
      { schedule: { kind: "triangular", rate: 1, start: 0, peak: 1, end: 0 } },
      "schedule an Object",
    ],
    ["a schedule without a rate", { schedule: { kind: "cosine", rate: null } }, "schedule an Object: must be a sch"],
    ["averages that never move", { average: { kind: "ema", decay: 1 } }, "average an Object: must be averages"],
    ["no phases", { schedule: { kind: "phases", phases: [] } }, "schedule an Object: must be a schedule"],
    ["an augmentation out of range", { augmentation: { jitter: 7 } }, "augmentation an Object: must be the strengths"],
    ["half a crop", { augmentation: { crop: 0.5 } }, "augmentation an Object: must be the strengths of its parts"],
    ["another cut", { split: "thirds" }, 'split "thirds": must be towers, owt, or null'],
    ["an unknown optimizer", { optimizer: "magic" }, 'optimizer "magic": must be '],
    ["half a thread", { threads: 0.5 }, "threads 0.5: must be a whole number above 0"],
    ["layers that are no names", { freeze: [1] }, "freeze an Array: must be a list of layers' names"],
    ["paths that are none", { data: 7 }, "data 7: must be text"],
  ])("whose config.json has %s is refused", (what, settings, message) => {
    const json = what === "an empty file" || Array.isArray(settings) ? settings : { ...config, ...settings };
    expect(() => parseConfig(json)).toThrow(UsageError);
    expect(() => parseConfig(json)).toThrow(message);
  });

  test("of any network's recipe is taken", () => {
    for (const { name } of networks)
      expect(parseConfig(JSON.parse(JSON.stringify(make({}, name))))).toEqual(make({}, name));
  });

  test("keeps what is not said, and takes epochs and device", () => {
    expect(changeConfig(config, { resume: "x" })).toEqual(config);
    expect(changeConfig(config, { resume: "x", epochs: 5 })).toEqual({ ...config, epochs: 5 });
    expect(changeConfig(config, { resume: "x", device: "cpu", threads: 2 })).toEqual({
      ...config,
      device: "cpu",
      threads: 2,
    });
  });

  test("keeps its optimizer", () => {
    expect(() => changeConfig(config, { resume: "x", optimizer: "adamw" })).toThrow(
      "optimizer adamw: the run was trained with sgd, whose state it saved: leave it out, " +
        'or begin a new run from its weights, with from: "x" and optimizer: "adamw"',
    );
    expect(() => changeConfig(config, { resume: "x", optimizer: "sgd" })).toThrow("optimizer can't be changed");
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

  test("may have its data elsewhere", () => {
    const both = { ...config, data: resolve("x"), val: resolve("v") };
    expect(changeConfig(both, { resume: "x", data: "y" })).toEqual({ ...both, data: resolve("y") });
    expect(changeConfig(both, { resume: "x", val: "w" })).toEqual({ ...both, val: resolve("w") });
    expect(() => changeConfig({ ...config, data: null }, { resume: "x", data: "y" })).toThrow(UsageError);
  });

  test("refuses the rest", () => {
    for (const options of [{ rate: 1 }, { seed: 3 }, { val: "y" }, { holdOut: 0.2 }, { out: "z" }, { epochs: -1 }]) {
      expect(() => changeConfig(config, { resume: "x", ...options })).toThrow(UsageError);
    }
  });
});
