/** Whether a batch fits a device, with the largest one that does. */
import { describe, expect, test } from "bun:test";
import { openCpu } from "../../src/devices/cpu/backend.ts";
import { openWgpu } from "../../src/devices/wgpu/backend.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { VIEW_LENGTH } from "../../src/engine/ops/augment.ts";
import { openReference } from "../../src/engine/reference.ts";
import { DeviceError } from "../../src/errors.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { checkFit, heldBytes, largestTensorBytes, type Work } from "../../src/net/fit.ts";
import { fc, maxPool } from "../../src/net/layers/index.ts";
import { Model, place } from "../../src/net/model.ts";
import { alexnet, findNetwork } from "../../src/net/networks.ts";
import { createOptimizer } from "../../src/net/optimizers.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Session } from "../../src/training/session.ts";
import { trainingStep } from "../../src/training/step.ts";
import { trainWatched } from "../../src/verbs/train/train.ts";
import { describeBackends } from "../support/backends.ts";
import { tiny } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

const layers = place(alexnet);
const MIB = 2 ** 20;

/** A device with other limits. */
function device(limits: Partial<Backend["limits"]>): Backend {
  const backend = openReference();
  return { ...backend, description: "a device", limits: { ...backend.limits, ...limits } };
}

const training: Work = { network: alexnet, classes: alexnet.classes, kind: "training" };
const evaluating: Work = { ...training, kind: "evaluating" };

/** The number in "use --batch N or less", checked: it fits, and one more does not. */
function advised(backend: Backend, work: Work = training): number {
  const fits = (batch: number) => checkFit(work, batch, backend);
  let message = "";
  try {
    fits(4000);
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    message = (error as Error).message;
  }
  expect(message).toMatch(
    /^alexnet with a batch of 4000 needs .*, and the device \(a device\) .*: use batch: \d+ or less$/,
  );
  const batch = Number(/batch: (\d+)/.exec(message)![1]);
  fits(batch);
  expect(() => fits(batch + 1)).toThrow(DeviceError);
  return batch;
}

test("conv1's output, 96 × 55 × 55 floats an image, is the largest tensor", () => {
  expect(largestTensorBytes(layers, 128)).toBe(148_684_800);
});

test("in half precision the places where a max-pool found its numbers take twice their room", () => {
  const pooled = place({
    ...alexnet,
    layers: (classes) => [maxPool(3, 1, { pad: 1 }), fc("fc1", classes, { sigma: 0.01 })],
  });
  expect(largestTensorBytes(pooled, 1)).toBe(4 * 3 * 227 * 227);
  expect(largestTensorBytes(pooled, 1, true)).toBe(4 * 3 * 227 * 227);
  expect(largestTensorBytes(layers, 128, true)).toBe(148_684_800 / 2);
});

describe("what a device can bind", () => {
  test("128 MiB: 115 images", () => {
    expect(advised(device({ bindingBytes: 128 * MIB }))).toBe(Math.floor((128 * MIB) / (4 * 96 * 55 * 55)));
    expect(advised(device({ bindingBytes: 128 * MIB }), evaluating)).toBe(115);
  });

  test("less than one image: another device", () => {
    const tiny = device({ bindingBytes: MIB });
    expect(() => checkFit(training, 1, tiny)).toThrow(
      /needs a tensor of 2 MB, and .* binds at most 2 MB: use another device/,
    );
  });
});

describe("all the memory of a device", () => {
  const held = (work: Work, images: number) => heldBytes(work, images, device({}));

  test("training takes three times the weights, and more for each image", () => {
    const [one, two] = [held(training, 1), held(training, 2)];
    expect(2 * one - two).toBeWithin(3 * 4 * 60_965_224, 1.01 * 3 * 4 * 60_965_224);
    const total = held(training, 17) + (held(training, 18) - held(training, 17)) / 2;
    expect(advised(device({ totalBytes: total }))).toBe(17);
    expect(advised(device({ totalBytes: total }), evaluating)).toBeGreaterThan(17);
  });

  test("layers that don't learn need no gradients", () => {
    const frozen = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6"];
    expect(held(training, 1) - held({ ...training, frozen }, 1)).toBeGreaterThan(4 * 9216 * 4096);
  });

  test("of a step that devices share each holds its part, and of a validation a whole batch", () => {
    const shared = { ...training, shares: 4 };
    expect(held(shared, 64)).toBeWithin(held(training, 16) + 1, held(training, 64));
    expect(held({ ...shared, validationImages: 16 }, 64)).toBe(held(training, 16));
  });

  test("Winograd's patches and products count", () => {
    const gpu = { ...device({}), needsSplitting: true, parallelWorkgroups: 256 };
    // conv2's at 128 images, of 27 × 27 pixels in tiles of 4 × 4.
    const patches = 4 * 64 * 96 * 7 * 7 * 128;
    expect(heldBytes(training, 128, gpu) - held(training, 128)).toBeGreaterThan(patches);
  });

  test("less than the weights: another device", () => {
    const none = device({ totalBytes: 500 * MIB });
    expect(() => checkFit(training, 1, none)).toThrow(/needs 7\d\d MB, and .* has 525 MB: use another device/);
  });

  test("a batch whose pixels no array could hold is refused like any other", () => {
    const large = device({ totalBytes: 4e9 });
    expect(() => checkFit(training, 1e7, large)).toThrow(/has 4,000 MB: use batch: \d+ or less$/);
  });

  test("a batch that fits is not spoken of", () => {
    expect(() => checkFit(training, 128, device({}))).not.toThrow();
  });
});

describeBackends("what is held", ({ name }) => {
  /** A backend of its own, whose pool is empty. */
  const open = () => (name === "wgpu" ? openWgpu({ adapter: 0 }) : openCpu({ threads: 2, blas: name === "cpu-blas" }));

  test.each([
    ["small", 16, "sgd"],
    ["small", 16, "adamw"],
    ["small", 16, "muon"],
    ["relu-or-tanh", 8, "sgd"],
    // Windows of 3 × 3 and 5 × 5 with maps enough for Winograd.
    ["cifar10-vgg-narrow", 4, "sgd"],
    ["alexnet-cifar", 8, "sgd"],
  ])("by training steps and forward passes of %s is what was counted before", async (name, batch, optimizer) => {
    const network = findNetwork(name);
    const { classes, record } = network;
    const backend = await open();
    try {
      const expected = heldBytes({ network, classes, kind: "training", optimizer }, batch, backend);
      const model = new Model(network, backend, classes);
      model.initialise(1);
      const moves = createOptimizer(model, { ...network.recipe, optimizer });
      const mean = uploadMean(backend, record, new Float32Array(record * record * 3));
      const [pixels, views] = [new Uint8Array(batch * record * record * 3), new Float32Array(batch * VIEW_LENGTH)];
      for (let step = 0; step < 2; step++) {
        const labels = new Uint32Array(batch);
        await trainingStep(model, moves, mean, {
          ...{ pixels, views, labels, valid: batch, step, seed: 1 },
          rateOf: () => 1e-4,
        });
      }
      await probabilities(model, mean, pixels, [views]);
      expect(backend.statistics().bytes).toBe(expected);
    } finally {
      await backend.close();
    }
  });

  test("by a training from its beginning to its end is what was counted before", async () => {
    const folder = temporaryFolder();
    try {
      // Two of the 24 images are for the validation.
      const data = await makePhotos(`${folder.path}/photos`, 2, 12);
      const { threads: _, ...rest } = tiny;
      const device = name === "wgpu" ? { device: "gpu:0", tune: false } : { device: "cpu", blas: name === "cpu-blas" };
      const options = { ...rest, ...device, data, out: `${folder.path}/run`, batch: 8, epochs: 2 };
      let [held, expected] = [0, 0];
      const afterEpoch = async ({ model: { network, classes, parameters }, val }: Session) => {
        const { backend } = parameters[0]!;
        held = backend.statistics().bytes;
        const work = { network, classes, kind: "training", validationImages: val.dataset.length } as const;
        expected = heldBytes(work, 8, backend);
      };
      await trainWatched({ ...options }, [{ afterEpoch }]);
      expect(held).toBe(expected);
    } finally {
      folder.remove();
    }
  });
});
