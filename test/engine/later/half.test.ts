/** Numbers stored in half precision: the WGSL that is made for them, and trainings with them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Backend } from "../../../src/engine/backend.ts";
import { kernel, wgslOf } from "../../../src/engine/kernel.ts";
import { asStored, inHalf } from "../../../src/engine/later/half.ts";
import { addForward } from "../../../src/engine/ops/later/add.ts";
import { batchNorm } from "../../../src/engine/ops/later/batch_norm.ts";
import { conv2d } from "../../../src/engine/ops/conv2d.ts";
import { maxPool as maxPoolOf } from "../../../src/engine/ops/pool.ts";
import { softmaxCrossEntropy } from "../../../src/engine/ops/softmax_cross_entropy.ts";
import { Parameter } from "../../../src/engine/parameter.ts";
import { poolOf } from "../../../src/engine/pool.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { linear, reshape, train } from "../../../src/index.ts";
import { DeviceError, UsageError } from "../../../src/errors.ts";
import { small } from "../../../src/net/cifar_networks.ts";
import { batchNorm as normed, conv, fc, maxPool, relu } from "../../../src/net/layers/index.ts";
import type { Network } from "../../../src/net/recipe.ts";
import { describeBackends } from "../../support/backends.ts";
import { distance } from "../../support/golden_numbers.ts";
import { drawn, firstBatches, trainer } from "../../support/training.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(240_000);

/** A kernel of all that is rewritten. */
const example = kernel({
  name: "example",
  module: import.meta.url,
  wgsl: `
alias Value = f32;
struct Uniforms { size: u32, }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(1) fn example() {
  // y[i] = x[i] is no code.
  let own = u.x[0];
  if (x[places[1] + u32(x[2])] == x[3]) { y[0] = vec4f(x[0]) + y[1]; }
  y[places[0]] += max(y[2], vec4f());
}`,
  buffers: { x: "read", places: "read u32", y: "update" },
  uniforms: { size: "u32" },
  workgroups: () => [1, 1, 1],
  reference() {},
});

describe("WGSL", () => {
  const lines = wgslOf(inHalf(example as never, ["x", "y"])).split("\n");
  const line = (start: string) => lines.find((each) => each.trim().startsWith(start))!.trim();

  test("the numbers are declared in half precision, and others as they were", () => {
    expect(lines[0]).toBe("enable f16;");
    expect(line("@group(0) @binding(1)")).toEndWith("x: array<f16>;");
    expect(line("@group(0) @binding(2)")).toEndWith("places: array<u32>;");
    expect(line("@group(0) @binding(3)")).toEndWith("y: array<vec4h>;");
  });

  test("they are computed with in single precision, and rounded where they are stored", () => {
    expect(line("let own")).toBe("let own = u.x[0];");
    expect(line("if")).toBe(
      "if (f32(x[places[1] + u32(f32(x[2]))]) == f32(x[3])) { y[0] = half_vec4f(vec4f(f32(x[0])) + vec4f(y[1])); }",
    );
    expect(line("y[places")).toBe("y[places[0]] = half_vec4f(vec4f(y[places[0]]) + (max(vec4f(y[2]), vec4f())));");
  });

  test("a kernel for the same buffers is made once, under a name of its own", () => {
    const device = openReference();
    const [x, y] = [device.allocate("f16", 1), device.allocate("f32", 1)];
    expect(asStored(addForward, { a: y, b: y, y }) as unknown).toBe(addForward);
    const made = asStored(addForward, { a: x, b: y, y: x });
    expect(made).toBe(asStored(addForward, { a: x, b: y, y: x }));
    expect(made.name).toBe("add_forward_f16_a_y");
    expect(made.variants!.map(({ name }) => name)).toEqual(["add_forward_vec4_f16_a_y"]);
    expect(made.buffers).toEqual({ a: "read f16", b: "read", y: "write f16" });
  });

  test("other numbers can't be in half precision", () => {
    expect(() => inHalf(example as never, ["places"])).toThrow(
      new UsageError("kernel example: buffer places is read u32, not f32"),
    );
  });
});

test("results and gradients are stored as the input is, those of parameters in single precision", async () => {
  const device = openReference();
  const tape = new Tape(device);
  const w = new Parameter(device, "w", [4, 3, 3, 3], { init: "he" });
  const shift = new Parameter(device, "shift", [4], { init: { constant: 0.1 } });
  const v = new Parameter(device, "v", [2, 16], { init: "he" });
  const [mean, variance] = [0, 1].map((constant) => new Parameter(device, "running", [4], { init: { constant } }));
  const x = tape.input(
    [3, 4, 4, 2],
    Float16Array.from({ length: 96 }, (_, i) => Math.cos(i)),
    { requiresGrad: true },
  );
  const y = conv2d(x, w, undefined, { pad: 1 }).keep();
  const z = batchNorm(y, { shift, mean: mean!, variance: variance! }, { training: true, activation: "relu" });
  const logits = linear(reshape(maxPoolOf(z, { window: 2, stride: 2 }), [16, 2]), v).keep();
  const { loss, losses } = softmaxCrossEntropy(logits, tape.input([2], Uint32Array.of(0, 1)));
  expect([x, y, logits, loss, losses].map(({ buffer }) => buffer.type)).toEqual(["f16", "f16", "f16", "f32", "f32"]);
  tape.backward(loss);
  expect([x, y, logits, w, shift, v].map(({ grad }) => grad!.buffer.type)).toEqual([
    "f16",
    "f16",
    "f16",
    "f32",
    "f32",
    "f32",
  ]);
  expect(await y.read()).toBeInstanceOf(Float32Array);
});

/** A net of two blocks for 8 × 8 images, with the kinds of tensors that trainings keep. */
const tiny: Network = {
  ...small,
  ...{ name: "tiny", crop: 8, record: 8, classes: 4 },
  recipe: { ...small.recipe, batch: 16, decay: 0.01 },
  layers: (classes) => [
    [conv("conv1", 8, 3, { pad: 1, sigma: "fan-in" }), relu(), maxPool(2, 2)],
    [conv("conv2", 8, 3, { pad: 1, sigma: "fan-in", bias: false }), normed("norm2"), relu()],
    fc("fc3", classes, { sigma: "fan-in" }),
  ],
};

/** The losses of a few steps, what the device held, and the weights after them. */
async function trained(device: Backend, half: boolean, batch = 16) {
  const data = await drawn(8, 64);
  poolOf(device).trim();
  const before = device.statistics().bytes;
  const { model, step, free } = trainer(tiny, device, data, 10);
  model.half = half;
  const losses: number[] = [];
  for (const each of await firstBatches(data.dataset, batch, 8, 6)) losses.push(await step(each));
  const bytes = device.statistics().bytes - before;
  const weights = await Promise.all(model.parameters.map((parameter) => parameter.read()));
  free();
  return { losses, bytes, weights };
}

function expectAlike(actual: Awaited<ReturnType<typeof trained>>, expected: Awaited<ReturnType<typeof trained>>): void {
  expect(distance(actual.losses, expected.losses)).toBeLessThan(5e-3);
  actual.weights.forEach((weights, i) => expect(distance(weights, [...expected.weights[i]!])).toBeLessThan(2e-2));
}

test("a training learns what it learns in single precision", async () => {
  const [half, single] = [await trained(openReference(), true), await trained(openReference(), false)];
  expectAlike(half, single);
  expect(half.losses).not.toEqual(single.losses);
});

describeBackends(
  "a training in half precision",
  ({ open }) => {
    test("learns as the plain loops do, with less memory", async () => {
      const device = await open();
      // An odd number of images, too.
      for (const batch of [16, 5])
        expectAlike(await trained(device, true, batch), await trained(openReference(), true, batch));
      const [half, single] = [await trained(device, true), await trained(device, false)];
      expect(half.bytes).toBeLessThan(0.75 * single.bytes);
    });
  },
  ["wgpu-half"],
);

test("a training is refused on a device without", async () => {
  await expect(train({ precision: "half", device: "cpu", limit: 8, out: "nowhere" })).rejects.toThrow(
    /^precision: "half": .* has no half precision: train on a GPU that has \(device; `.*doctor` says which\), or begin a run with precision: "single"$/,
  );
});

describeBackends(
  "without half precision",
  ({ open }) => {
    test("it is refused", async () => {
      const device = await open();
      expect(device.hasHalf).toBe(false);
      expect(() => device.allocate("f16", 4)).toThrow(
        new DeviceError("allocate: this device has no half precision: it needs a GPU with shader-f16"),
      );
    });
  },
  ["cpu"],
);
