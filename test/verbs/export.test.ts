/** Checkpoints as an export, in half precision if asked for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { centreView } from "../../src/data/augmentation.ts";
import { openReference } from "../../src/engine/reference.ts";
import { size } from "../../src/engine/tensor.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { openTrained } from "../../src/inference/loaded_model.ts";
import { leaves, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { exportModel } from "../../src/verbs/export/export.ts";
import { importWeights } from "../../src/verbs/import/import.ts";
import { writeCheckpoint } from "../../src/weights/checkpoint.ts";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import { saveUntrained } from "../support/checkpoints.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (name: string) => join(folder.path, name);
const CLASSES = Array.from({ length: 10 }, (_, k) => `class ${k}`);

describe("a checkpoint", () => {
  const model = at("model.safetensors");
  beforeAll(() => saveUntrained(model, findNetwork("cifar10-18pct"), CLASSES, 0));

  test("whole, it has the same numbers", async () => {
    const { files, weights } = await exportModel({ model, as: "checkpoint", out: at("whole") });
    expect(files).toEqual([at("whole.safetensors")]);
    using from = openSafetensors(weights);
    using to = openSafetensors(files[0]!);
    expect([...to.tensors.keys()]).toEqual([...from.tensors.keys()].filter((name) => to.tensors.has(name)));
    for (const [name, { shape, read }] of to.tensors) {
      expect(shape).toEqual(from.tensors.get(name)!.shape);
      expect(read()).toEqual(from.tensors.get(name)!.read());
    }
  });

  test("in half precision, it has half the size, and answers as before", async () => {
    const { files, weights } = await exportModel({ model, as: "checkpoint", half: true, out: at("half") });
    using from = openSafetensors(weights);
    using to = openSafetensors(files[0]!);
    for (const [name, { read }] of to.tensors) {
      const exact = from.tensors.get(name)!.read();
      expect(read()).toEqual(name === "preprocessing.mean" ? exact : exact.map(Math.f16round));
    }
    expect(statSync(files[0]!).size).toBeLessThan(0.55 * statSync(weights).size);
    const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * i) % 251);
    const [exact, half] = await Promise.all(
      [weights, files[0]!].map(async (path) => {
        using trained = await openTrained(path);
        await using backend = openReference("f32");
        const { model, mean } = trained.load(backend);
        return probabilities(model, mean, pixels, [centreView(1, 32, trained.network.crop)]);
      }),
    );
    exact!.forEach((share, k) => expect(half![k]!).toBeCloseTo(share, 2));
  });

  test("not of ONNX", async () => {
    await expect(exportModel({ model, as: "onnx", half: true, out: at("no") })).rejects.toThrow(
      'half is not for as: "onnx", whose weights are float32: leave it out',
    );
  });
});

test("as PyTorch has them, normalisations that learn only a shift have scales of 1; they are read again", async () => {
  const network = findNetwork("cifar10-airbench");
  const stored = leaves(place(network)).flatMap(({ parameters, state }) => [...parameters, ...state]);
  const parameters = stored.map(({ name, shape }) => ({
    ...{ name, shape },
    read: async () => new Float32Array(size(shape)).fill(0.5),
  }));
  const mean = new Float32Array(network.record ** 2 * 3);
  await writeCheckpoint(at("airbench.safetensors"), { network, parameters, classes: CLASSES, mean, state: {} });
  const out = at("plain");
  const { files } = await exportModel({ model: at("airbench.safetensors"), as: "safetensors", half: true, out });
  using to = openSafetensors(files[0]!);
  const added = [...to.tensors.keys()].filter((name) => !stored.some((each) => each.name === name));
  expect(added).toEqual([2, 3, 4].flatMap((block) => [1, 2].map((number) => `${block}.norm${number}.weight`)));
  for (const name of added) {
    expect(to.tensors.get(name)!.shape).toEqual(to.tensors.get(name.replace("weight", "bias"))!.shape);
    expect(new Set(to.tensors.get(name)!.read())).toEqual(new Set([1]));
  }
  const { run } = await importWeights({ file: files[0]!, out: at("again") });
  using again = openSafetensors(join(run, "best.safetensors"));
  for (const { name } of stored) expect([...again.tensors.get(name)!.read()].every((each) => each === 0.5)).toBe(true);
});

test.each(["bilinear", "bicubic"] as const)("a file says by which filter photos are rescaled: %s", async (resize) => {
  const model = at(`${resize}.safetensors`);
  await saveUntrained(model, { ...findNetwork("cifar10-18pct"), name: "own", resize }, CLASSES, 0);
  const { files } = await exportModel({ model, as: "safetensors", out: at(`${resize}-plain`) });
  using to = openSafetensors(files[0]!);
  expect(to.metadata["preprocessing"]).toStartWith(`Rescale the image (${resize}, antialiased) so that`);
  expect(JSON.parse(to.metadata["preprocessing_json"]!)).toMatchObject({ shorter_side: 32, filter: resize, crop: 32 });
});
