/** Lists of claims, on generated photos of three classes and with a network that trains in seconds. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { evaluate } from "../../src/verbs/evaluate/evaluate.ts";
import { CLAIMS, isRace, type Claim } from "../../src/verbs/reproduce/claims.ts";
import { reproduce, type ReproduceOptions } from "../../src/verbs/reproduce/reproduce.ts";
import {
  describeArm,
  describeDifference,
  figureOf,
  markdown,
  type ClaimResult,
} from "../../src/verbs/reproduce/results.ts";
import { raceLength, type TrialOutcome } from "../../src/verbs/reproduce/trial.ts";
import { epochsOf } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

const SIZES = { default: { epochs: 2 }, full: { epochs: 3 } };
const LIST: readonly Claim[] = [
  {
    ...{ name: "mirror", says: "Mirror images help", paper: "no figure", sizes: SIZES },
    arms: [
      { name: "with", model: "small", augment: "mirror" },
      { name: "without", model: "small" },
    ],
  },
  {
    ...{ name: "views", says: "More views help", paper: "no figure", sizes: SIZES },
    arms: [
      { name: "two", model: "small", views: 2 },
      { name: "one", model: "small" },
    ],
  },
  {
    ...{ name: "quick", says: "It learns at all", paper: "no figure", until: { trainError: 0.99 } },
    sizes: { ...SIZES, default: { name: "short", epochs: 2 } },
    arms: [
      { name: "a", model: "small", rate: 0.001 },
      { name: "b", model: "cifar10-18pct", rate: 0.001 },
    ],
  },
  {
    name: "race",
    says: "A second is enough",
    paper: "no figure",
    seconds: 1,
    arms: [{ name: "ours", model: "small" }],
  },
];

const { path: folder, remove } = temporaryFolder();
afterAll(remove);
let data: string;
let val: string;
beforeAll(async () => {
  data = await makePhotos(join(folder, "photos"), 3, 12);
  // Enough that no two trainings have equal errors by chance.
  val = await makePhotos(join(folder, "val"), 3, 40);
});

const run = (options: Partial<ReproduceOptions>, signal?: AbortSignal, trained: string[] = []) =>
  reproduce(
    {
      ...{ claims: ["all"], data, val, seeds: 2, out: join(folder, "out"), device: "cpu", threads: 1 },
      ...options,
      onEvent: (event) => event.type === "start" && trained.push(event.run),
      signal,
    },
    LIST,
  );

test("every arm is trained once per seed, and the results have its outcomes", async () => {
  const trained: string[] = [];
  const done = (await run({ claims: ["mirror", "views", "quick"] }, undefined, trained))!;
  // "without", "two" and "one" share a training; the arms of "quick" have different rates, and a folder each
  const names = trained.map((path) => path.slice(path.lastIndexOf("/") + 1));
  expect(names.toSorted()).toEqual(
    ["small", "small-mirror", "small-rate0.001-short", "cifar10-18pct-rate0.001-short"]
      .flatMap((name) => [`${name}-seed0`, `${name}-seed1`])
      .toSorted(),
  );
  const [mirror, views, quick] = done.results.claims as [ClaimResult, ClaimResult, ClaimResult];
  expect(mirror.arms.map(({ command }) => command)).toEqual([
    "bun run train DATA --model small --augment mirror --epochs 2 --seed SEED",
    "bun run train DATA --model small --epochs 2 --seed SEED",
  ]);
  for (const { outcomes } of mirror.arms) {
    expect(outcomes.map(({ seed, epochs, images }) => [seed, epochs, images])).toEqual([
      [0, 2, 36],
      [1, 2, 36],
    ]);
  }
  // The errors are those of each run's last epoch, over the arm's views.
  for (const [arm, name] of [
    [mirror.arms[0]!, "small-mirror"],
    [mirror.arms[1]!, "small"],
  ] as const) {
    const last = [0, 1].map((seed) => epochsOf(join(folder, "out", `${name}-seed${seed}`)).at(-1) as any);
    expect(arm.outcomes.map(({ testError }) => testError)).toEqual(last.map((epoch) => epoch.val.top1));
    expect(arm.outcomes.map(({ trainError }) => trainError)).toEqual(last.map((epoch) => epoch.train.top1));
  }
  for (const { seed, testError } of views.arms[0]!.outcomes) {
    const model = join(folder, "out", `small-seed${seed}`, "last.safetensors");
    const { total } = await evaluate({ model, views: 2, device: "cpu", threads: 1 });
    expect([testError, total.images]).toEqual([total.wrong1 / 120, 120]);
  }
  // The training itself validated with the centre.
  expect(views.arms[1]!.outcomes).toEqual(mirror.arms[1]!.outcomes);
  // Even guessing has an error below 99%, so the first epoch is the last.
  expect(quick.arms.map(({ outcomes }) => outcomes.map(({ epochs, reached }) => [epochs, reached]))).toEqual(
    Array.from({ length: 2 }, () => Array.from({ length: 2 }, () => [1, true])),
  );
  expect(describeDifference(quick)).toBe("1.0 times as many (1.0 to 1.0)");
  expect(JSON.parse(readFileSync(done.files[0]!, "utf8"))).toEqual(done.results);
  expect(readFileSync(done.files[1]!, "utf8")).toBe(`${markdown(done.results)}\n`);
}, 60_000);

test("finished trainings are not repeated; other data in their folder are refused", async () => {
  const trained: string[] = [];
  const log = join(folder, "out", "small-seed0", "log.jsonl");
  const before = statSync(log).mtimeMs;
  expect(await run({ claims: ["mirror"] }, undefined, trained)).toBeDefined();
  expect([trained, statSync(log).mtimeMs]).toEqual([[], before]);
  const other = await makePhotos(join(folder, "other"), 3, 12);
  await expect(run({ claims: ["mirror"], data: other })).rejects.toThrow(UsageError);
  await expect(run({ claims: ["mirror"], data: other })).rejects.toThrow(/a run whose data is .* name another out/);
});

test("stopped, it continues where it was", async () => {
  const out = join(folder, "stopped");
  const controller = new AbortController();
  const stopped = await reproduce(
    {
      claims: ["mirror"],
      data,
      val,
      seeds: 1,
      out,
      device: "cpu",
      threads: 1,
      onEvent: (event) => event.type === "epoch" && controller.abort(),
      signal: controller.signal,
    },
    LIST,
  );
  expect(stopped).toBeUndefined();
  expect(existsSync(join(out, "results.json"))).toBe(false);
  const whole = (await run({ claims: ["mirror"], seeds: 1 }))!.results.claims[0]!;
  const resumed = (await run({ claims: ["mirror"], seeds: 1, out }))!.results.claims[0]!;
  const figures = ({ arms }: ClaimResult) =>
    arms.map(({ outcomes }) => outcomes.map(({ testError, trainError }) => [testError, trainError]));
  expect(figures(resumed)).toEqual(figures(whole));
}, 60_000);

test("the length of a race depends on the machine's speed", async () => {
  const done = (await run({ claims: ["race"], seeds: 1 }))!;
  expect(done.results.gflops).toBeWithin(0.1, 1e6);
  const { outcomes, command } = done.results.claims[0]!.arms[0]!;
  // The number of epochs and their length depend on the machine; log and command agree on them.
  const epochs = epochsOf(join(folder, "out", "race-seed0")).length;
  const { images } = outcomes[0]!;
  expect(images).toBeWithin(1, 37);
  expect(outcomes).toMatchObject([{ epochs }]);
  expect(command).toBe(`bun run train DATA --model small --epochs ${epochs} --epoch-images ${images} --seed SEED`);
  // Nine tenths of the images there is time for: several epochs of nearly all, or one of some.
  expect(raceLength(1000, 33)).toEqual({ epochs: 28, epochImages: 32 });
  expect(raceLength(20, 33)).toEqual({ epochs: 1, epochImages: 18 });
  expect(raceLength(1, 33)).toEqual({ epochs: 1, epochImages: 1 });
  expect(existsSync(join(folder, "out", "pace"))).toBe(false);
}, 60_000);

test("unknown claims and counts are usage errors", async () => {
  await expect(run({ claims: ["miror"] })).rejects.toThrow(/no claim is called "miror".*did you mean "mirror"/);
  await expect(run({ seeds: 0 })).rejects.toThrow(UsageError);
});

describe("results in words", () => {
  const outcome = (seed: number, testError: number, more: Partial<TrialOutcome> = {}): TrialOutcome => ({
    ...{ seed, testError, trainError: 0.1, epochs: 4, images: 100, seconds: 10, device: "cpu" },
    ...more,
  });
  const claim: ClaimResult = {
    ...{ name: "c", says: "s", paper: "p" },
    arms: [
      { name: "a", command: "", outcomes: [outcome(0, 0.2), outcome(1, 0.3)] },
      { name: "b", command: "", outcomes: [outcome(0, 0.25), outcome(1, 0.29)] },
    ],
  };

  test("mean, spread, and the difference seed by seed", () => {
    expect(describeArm(claim, claim.arms[0]!)).toBe("25.0% (20.0%–30.0%), training 10.0%");
    expect(describeDifference(claim)).toBe("+2.0 points (−1.0 to 5.0)");
  });

  test("outcomes that missed the goal, or came too late, are no figures", () => {
    const late = { ...claim, seconds: 5 };
    expect(figureOf(late, claim.arms[0]!.outcomes[0]!)).toBeNull();
    expect(describeArm(late, claim.arms[0]!)).toBe("2 too late");
    const until = { ...claim, until: { trainError: 0.25 } };
    expect(describeArm(until, { ...claim.arms[0]!, outcomes: [outcome(0, 1, { reached: false })] })).toBe(
      "1 not reached after 4 epochs",
    );
    expect(describeDifference(until)).toBe("");
  });
});

test("every built-in claim can be trained, and the arms of each comparison differ", () => {
  for (const claim of CLAIMS) {
    for (const { model } of claim.arms) expect(findNetwork(model).record).toBe(32);
    if (!isRace(claim)) expect(claim.arms[0]).not.toEqual(claim.arms[1]);
  }
});
