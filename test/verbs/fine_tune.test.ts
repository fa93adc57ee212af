/** Training from the weights of another run. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { groupsNamed } from "../../src/net/later/groups.ts";
import { layersNamed } from "../../src/net/layer_names.ts";
import { findNetwork } from "../../src/net/networks.ts";
import type { TrainConfig } from "../../src/runs/settings.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import { train } from "../../src/verbs/train/train.ts";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const [three, two] = [join(folder.path, "three"), join(folder.path, "two")];
const source = join(folder.path, "source");
const { model: _, ...device } = { ...tiny, rate: 0.01 };

beforeAll(async () => {
  await makePhotos(three, 3, 20);
  await makePhotos(two, 2, 20);
  await train({ ...tiny, data: three, epochs: 1, out: source });
});

/** The tensors of the run's last checkpoint, as text to compare. */
function tensors(run: string, file = "last"): Map<string, string> {
  const opened = openSafetensors(join(run, `${file}.safetensors`));
  const found = new Map([...opened.tensors].map(([name, entry]) => [name, entry.read().join()]));
  opened.close();
  return found;
}

const configOf = (run: string): TrainConfig => JSON.parse(readFileSync(join(run, "config.json"), "utf8"));

async function tuned(name: string, options: TrainOptions): Promise<string> {
  const out = join(folder.path, name);
  await train({ ...device, epochs: 1, from: source, out, ...options });
  return out;
}

describe("other classes", () => {
  test("all layers but the last are kept, and so is the mean image", async () => {
    const run = await tuned("kept", { data: two, freeze: "conv*" });
    const [before, after] = [tensors(source, "best"), tensors(run)];
    for (const name of ["conv1.weight", "conv1.bias", "conv2.weight", "conv3.bias", "preprocessing.mean"]) {
      expect(after.get(name)).toBe(before.get(name)!);
    }
    const last = [...after.keys()].filter((name) => name.startsWith("fc"));
    expect(last.length).toBe(2);
    for (const name of last)
      expect(after.get(name)!.split(",").length).toBe((before.get(name)!.split(",").length * 2) / 3);
    // Frozen layers have no moments.
    expect(new Set(after.get("optimizer.mean.conv1.weight")!.split(","))).toEqual(new Set(["0"]));
    expect(configOf(run)).toMatchObject({
      ...{ network: "relu-or-tanh", from: join(source, "best.safetensors"), freeze: ["conv1", "conv2", "conv3"] },
      ...{ groups: [], freezeStatistics: true, optimizer: "adamw" },
    });
  });

  test("layers that are not frozen learn", async () => {
    const after = tensors(await tuned("moved", { data: two, freeze: "conv1" }));
    const before = tensors(source, "best");
    expect(after.get("conv1.weight")).toBe(before.get("conv1.weight")!);
    expect(after.get("conv2.weight")).not.toBe(before.get("conv2.weight")!);
  });

  test("a layer at rate 0 stays", async () => {
    const after = tensors(await tuned("still", { data: two, rates: "conv2=0,fc*=2" }));
    const before = tensors(source, "best");
    expect(after.get("conv2.weight")).toBe(before.get("conv2.weight")!);
    expect(after.get("conv3.weight")).not.toBe(before.get("conv3.weight")!);
  });
});

test("the same classes: the last layer is kept too, and a tenth of the rate moves it little", async () => {
  const run = await tuned("same", { data: three, freeze: "conv*", rate: 1e-30 });
  const [before, after] = [tensors(source, "best"), tensors(run)];
  for (const name of before.keys()) expect(after.get(name)).toBe(before.get(name)!);
  expect(configOf(run).groups).toEqual([]);
});

test("interrupted and resumed, it ends with the same bytes", async () => {
  const options = { data: two, epochs: 2, augment: "mirror", freeze: "conv1" };
  const whole = await tuned("whole", options);
  const controller = new AbortController();
  const out = join(folder.path, "parts");
  let steps = 0;
  const report = ({ type }: { type: string }) => void (type === "step" && ++steps === 2 && controller.abort());
  const { interrupted } = await train({
    ...device,
    from: source,
    out,
    ...options,
    onEvent: report,
    signal: controller.signal,
  });
  expect(interrupted).toBe(true);
  await train({ resume: out });
  const bytes = (run: string) => readFileSync(join(run, "last.safetensors"));
  expect(bytes(out).equals(bytes(whole))).toBe(true);
});

test("layers are named by patterns", () => {
  const network = findNetwork("alexnet");
  expect(layersNamed("--freeze", "conv1,fc*", network)).toEqual(["conv1", "fc6", "fc7", "fc8"]);
  expect(groupsNamed("rate", "*=0.5,fc8=10", network)).toEqual([
    { of: "*", rate: 0.5 },
    { of: "fc8", rate: 10 },
  ]);
});

test.each([
  [{ freeze: "conv9" }, /no layer "conv9"; did you mean "conv1"/],
  [{ freeze: "*" }, /leaves no layer/],
  [{ rates: "fc5=2" }, /rates fc5=2: relu-or-tanh has no parameters "fc5"; did you mean "fc4"/],
  [{ decays: "scales=0" }, /decays scales=0: relu-or-tanh has no parameters "scales"/],
  [{ rates: "fc4" }, /must be a layer and a number/],
  [{ rates: "fc4=-1" }, /must be a layer and a number/],
  [{ model: "alexnet" }, /has weights of relu-or-tanh/],
] as const)("%p is refused", async (options, message) => {
  const failing = tuned("refused", { data: two, ...options });
  await expect(failing).rejects.toThrow(UsageError);
  await expect(failing).rejects.toThrow(message);
});
