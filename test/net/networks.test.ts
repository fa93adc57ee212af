/** Shapes, parameters and multiply-adds of the networks: those of the paper and of PyTorch. */
import { describe, expect, test } from "bun:test";
import { UsageError } from "../../src/errors.ts";
import { place } from "../../src/net/model.ts";
import { findNetwork, networks } from "../../src/net/networks.ts";

function sums(name: string, classes?: number) {
  const layers = place(findNetwork(name), classes);
  const parameters = layers.flatMap((layer) => layer.parameters);
  return {
    parameters: parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    multiplyAdds: layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0),
  };
}

test("the paper's network: 60,965,224 parameters, 724.4 million multiply-adds", () => {
  expect(sums("alexnet")).toEqual({ parameters: 60_965_224, multiplyAdds: 724_406_816 });
  expect(sums("alexnet-2012").parameters).toBe(60_965_224);
});

test("torchvision's: 61,100,840 parameters, and as many with 10 classes as it has", () => {
  expect(sums("alexnet-owt").parameters).toBe(61_100_840);
  expect(sums("alexnet-owt", 10).parameters).toBe(61_100_840 - 990 * 4097);
});

test("cuda-convnet's cifar10-18pct: three layers of 5 × 5 filters, ten outputs", () => {
  const weights = 32 * 75 + 32 * 800 + 64 * 800 + 10 * 1024;
  expect(sums("cifar10-18pct").parameters).toBe(weights + 32 + 32 + 64 + 10);
});

describe("every network", () => {
  for (const network of networks) {
    test(network.name, () => {
      const layers = place(network);
      expect(layers.at(-1)!.output).toEqual([network.classes, 1, 1]);
      const names = layers.flatMap(({ parameters }) => parameters.map(({ name }) => name));
      expect(new Set(names).size).toBe(names.length);
      expect(network.crop).toBeLessThanOrEqual(network.record);
    });
  }
});

test("the paper's layer sizes", () => {
  const outputs = place(findNetwork("alexnet"))
    .filter(({ layer }) => ["conv", "max-pool", "fc"].includes(layer.kind))
    .map(({ output }) => output.join("×"));
  expect(outputs).toEqual([
    ...["96×55×55", "96×27×27", "256×27×27", "256×13×13"],
    ...["384×13×13", "384×13×13", "256×13×13", "256×6×6"],
    ...["4096×1×1", "4096×1×1", "1000×1×1"],
  ]);
});

test("an unknown network is a usage error with a suggestion; so is a single class", () => {
  expect(() => findNetwork("alexnt")).toThrow(UsageError);
  expect(() => findNetwork("alexnt")).toThrow(/did you mean "alexnet"\?/);
  expect(() => findNetwork("")).toThrow(/there are small, alexnet/);
  expect(() => place(findNetwork("small"), 1)).toThrow(UsageError);
});
