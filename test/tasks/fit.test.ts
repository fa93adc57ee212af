/** Whether a batch fits a device, with the largest one that does. */
import { describe, expect, test } from "bun:test";
import type { Backend } from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import { DeviceError } from "../../src/errors.ts";
import { place } from "../../src/model/model.ts";
import { alexnet } from "../../src/model/networks.ts";
import { checkFit, largestTensorBytes, trainingBytes } from "../../src/tasks/fit.ts";

const layers = place(alexnet);
const MIB = 2 ** 20;

/** A device with other limits. */
function device(limits: Partial<Backend["limits"]>): Backend {
  const backend = openReference();
  return { ...backend, description: "a device", limits: { ...backend.limits, ...limits } };
}

/** The number in "use --batch N or less", checked: it fits, and one more does not. */
function advised(backend: Backend, work: "training" | "evaluating" = "training"): number {
  const fits = (batch: number) => checkFit("alexnet", layers, batch, backend, work);
  let message = "";
  try {
    fits(4000);
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    message = (error as Error).message;
  }
  expect(message).toMatch(
    /^alexnet with a batch of 4000 needs .*, and the device \(a device\) .*: use --batch \d+ or less$/,
  );
  const batch = Number(/--batch (\d+)/.exec(message)![1]);
  fits(batch);
  expect(() => fits(batch + 1)).toThrow(DeviceError);
  return batch;
}

test("conv1's output, 96 × 55 × 55 floats an image, is the largest tensor", () => {
  expect(largestTensorBytes(layers, 128)).toBe(148_684_800);
});

describe("what a device can bind", () => {
  test("128 MiB: 115 images", () => {
    expect(advised(device({ bindingBytes: 128 * MIB }))).toBe(Math.floor((128 * MIB) / (4 * 96 * 55 * 55)));
    expect(advised(device({ bindingBytes: 128 * MIB }), "evaluating")).toBe(115);
  });

  test("less than one image: another device", () => {
    const tiny = device({ bindingBytes: MIB });
    expect(() => checkFit("alexnet", layers, 1, tiny)).toThrow(
      /needs a tensor of 2 MB, and .* binds at most 2 MB: use another device/,
    );
  });
});

describe("all the memory of a device", () => {
  test("training takes three times the weights, and more for each image", () => {
    const perImage = trainingBytes(layers, 1) - trainingBytes(layers, 0);
    expect(trainingBytes(layers, 0)).toBe(3 * 4 * 60_965_224);
    const total = trainingBytes(layers, 0) + 17.5 * perImage;
    expect(advised(device({ totalBytes: total }))).toBe(17);
    expect(advised(device({ totalBytes: total }), "evaluating")).toBeGreaterThan(17);
  });

  test("less than the weights: another device", () => {
    const none = device({ totalBytes: 500 * MIB });
    expect(() => checkFit("alexnet", layers, 1, none)).toThrow(/needs 7\d\d MB, and .* has 525 MB: use another device/);
  });

  test("a batch that fits is not spoken of", () => {
    expect(() => checkFit("alexnet", layers, 128, device({}))).not.toThrow();
  });
});
