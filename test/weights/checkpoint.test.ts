/** Checkpoints that belong to something else, or lack something. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openReference } from "../../src/engine/reference.ts";
import { CheckpointError } from "../../src/errors.ts";
import { cifar18, reluOrTanh, small } from "../../src/net/cifar_networks.ts";
import { Model } from "../../src/net/model.ts";
import type { Optimizer } from "../../src/net/optimizer.ts";
import { createOptimizer } from "../../src/net/optimizers.ts";
import { Sgd } from "../../src/net/sgd.ts";
import { openCheckpoint, saveCheckpoint } from "../../src/weights/checkpoint.ts";
import { openSafetensors, writeSafetensors, type TensorSource } from "../../src/weights/safetensors.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(folder.remove);
const path = join(folder.path, "good.safetensors");
const classes = ["ant", "bee", "ünlike\n"];
const mean = new Float32Array(32 * 32 * 3).fill(100);
const backend = openReference();
let model: Model;
let sgd: Sgd;

beforeAll(async () => {
  model = new Model(reluOrTanh, backend, 3);
  model.initialise(1);
  sgd = new Sgd(model, { momentum: 0.9, decay: 0, biasRate: 1, biasDecay: true });
  for (const [i, { buffer, size }] of sgd.velocities.entries()) {
    backend.write(buffer, new Float32Array(size).fill(i + 0.5));
  }
  await saveCheckpoint(path, { model, classes, mean, optimizer: sgd, state: { step: 3 } });
});

test("weights, velocities, mean, classes and state come back", async () => {
  const checkpoint = openCheckpoint(path);
  expect(checkpoint.network).toBe("relu-or-tanh");
  expect(checkpoint.classes).toEqual(classes);
  expect(checkpoint.state).toEqual({ step: 3 });
  expect(checkpoint.mean).toEqual(mean);
  const other = new Model(reluOrTanh, backend, 3);
  const otherSgd = new Sgd(other, sgd.settings);
  checkpoint.loadInto(other, otherSgd);
  checkpoint.close();
  for (const [i, parameter] of model.parameters.entries()) {
    expect(await other.parameters[i]!.read()).toEqual(await parameter.read());
    expect((await otherSgd.velocities[i]!.read()).every((v) => v === i + 0.5)).toBe(true);
  }
});

test("class names come back composed (NFC), as sets of images have them", async () => {
  const other = join(folder.path, "decomposed.safetensors");
  await saveCheckpoint(other, { model, classes: ["e\u0301", "f", "g"], mean, state: {} });
  const checkpoint = openCheckpoint(other);
  expect(checkpoint.classes).toEqual(["\u00e9", "f", "g"]);
  checkpoint.close();
});

test("parameters have PyTorch's names and shapes", () => {
  const file = openSafetensors(path);
  expect(file.tensors.get("conv1.weight")!.shape).toEqual([32, 3, 5, 5]);
  expect(file.tensors.get("fc4.weight")!.shape).toEqual([3, 1024]);
  expect(file.tensors.get("fc4.bias")!.shape).toEqual([3]);
  expect(file.tensors.get("velocity.fc4.bias")!.shape).toEqual([3]);
  file.close();
});

/** The good file with some tensors and metadata changed; undefined takes one away. */
async function changed(
  name: string,
  tensors: Readonly<Record<string, TensorSource | undefined>>,
  metadata: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  const file = openSafetensors(path);
  const all = [...file.tensors].map(([name, { shape, read }]) => ({ name, shape, read: async () => read() }));
  const kept = all
    .map((tensor) => (tensor.name in tensors ? tensors[tensor.name] : tensor))
    .filter((t) => t !== undefined);
  const strings = Object.entries({ ...file.metadata, ...metadata }).filter(([, value]) => value !== undefined);
  const target = join(folder.path, `${name}.safetensors`);
  await writeSafetensors(target, kept, Object.fromEntries(strings) as Record<string, string>);
  file.close();
  return target;
}

const zeros = (name: string, shape: readonly number[]): TensorSource => ({
  name,
  shape,
  read: async () => new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

describe("a checkpoint that does not fit", () => {
  const loading =
    (path: string, into: Model = model, optimizer?: Optimizer) =>
    () => {
      const checkpoint = openCheckpoint(path);
      try {
        checkpoint.loadInto(into, optimizer);
      } finally {
        checkpoint.close();
      }
    };
  const refused = (load: () => void, message: RegExp) => {
    expect(load).toThrow(CheckpointError);
    expect(load).toThrow(message);
  };

  test("of another network", () => {
    refused(loading(path, new Model(small, backend, 3)), /a checkpoint of relu-or-tanh, not of small/);
    refused(loading(path, new Model(cifar18, backend, 3)), /a checkpoint of relu-or-tanh, not of cifar10-18pct/);
  });

  test("with another number of classes", () => {
    refused(loading(path, new Model(reluOrTanh, backend, 4)), /fc4\.weight is 3 × 1024, the model needs 4 × 1024/);
  });

  test("with a tensor missing", async () => {
    refused(loading(await changed("a", { "conv2.bias": undefined })), /conv2\.bias is missing/);
    const velocity = await changed("b", { "velocity.conv2.bias": undefined });
    loading(velocity)();
    refused(loading(velocity, model, sgd), /velocity\.conv2\.bias is missing/);
    refused(loading(await changed("c", { "preprocessing.mean": undefined })), /preprocessing\.mean is missing/);
  });

  test("with the state of another optimizer", async () => {
    const [adamw, muon] = ["adamw", "muon"].map((optimizer) =>
      createOptimizer(model, { ...reluOrTanh.recipe, optimizer }),
    );
    refused(
      loading(path, model, adamw),
      /has the state of an optimizer that keeps velocity, the run's keeps mean, square, steps/,
    );
    const saved = join(folder.path, "adamw.safetensors");
    await saveCheckpoint(saved, { model, classes, mean, optimizer: adamw!, state: { step: 3 } });
    loading(saved, model, adamw)();
    refused(
      loading(saved, model, muon),
      /keeps mean, square, steps, the run's keeps mean, momentum, square, steps: put/,
    );
    refused(loading(saved, model, sgd), /keeps mean, square, steps, the run's keeps velocity/);
  });

  test("with another shape", async () => {
    const turned = await changed("d", { "conv1.weight": zeros("conv1.weight", [3, 32, 5, 5]) });
    refused(loading(turned), /conv1\.weight is 3 × 32 × 5 × 5, the model needs 32 × 3 × 5 × 5/);
    const mean = await changed("e", { "preprocessing.mean": zeros("preprocessing.mean", [16, 16, 3]) });
    refused(loading(mean), /preprocessing\.mean is 16 × 16 × 3, the model needs 32 × 32 × 3/);
  });

  test("without metadata, or with others", async () => {
    refused(
      loading(await changed("f", {}, { format: undefined })),
      /not a checkpoint of this program \(format not given\)/,
    );
    refused(loading(await changed("g", {}, { format: "pt" })), /not a checkpoint of this program \(format pt\)/);
    refused(loading(await changed("h", {}, { classes: undefined })), /not a checkpoint of this program/);
    refused(loading(await changed("i", {}, { classes: "ant" })), /its classes is not JSON/);
    refused(loading(await changed("j", {}, { classes: '{"0":"ant"}' })), /class names must be a list/);
    refused(loading(await changed("k", {}, { classes: "[]" })), /class names must be a list of at least two/);
    refused(loading(await changed("l", {}, { state: "{" })), /its state is not JSON/);
  });
});
