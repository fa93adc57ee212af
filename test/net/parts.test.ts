/** How networks are cut for several devices: where they give each other something, and which weights each has. */
import { describe, expect, test } from "bun:test";
import { size } from "../../src/engine/tensor.ts";
import { flatten } from "../../src/net/layer.ts";
import { conv, fc } from "../../src/net/layers/index.ts";
import { place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { partOf, type Cut } from "../../src/net/parts.ts";

/** The layers that begin with something that was put together, and what it was. */
function gatheredFor(name: string, cut: Cut, of: number) {
  const { network, stages } = partOf(findNetwork(name), cut, of, 1000);
  const layers = flatten(network.layers(1000));
  return stages.slice(1).map(({ first, end, needs, repeated }) => {
    const layer = layers.slice(first, end).find((each) => each.name !== "");
    return `${needs} for ${layer!.name}${repeated ? ", all of it everywhere" : ""}`;
  });
}

const own = (name: string, cut: Cut, of: number) =>
  place(partOf(findNetwork(name), cut, of, 1000).network, 1000).flatMap(({ parameters }) => parameters);

describe("two towers give each other what the paper says", () => {
  test.each(["alexnet", "alexnet-2012"])("%s", (name) => {
    expect(gatheredFor(name, "towers", 2)).toEqual([
      "features for conv3",
      "features for fc6",
      "features for fc7",
      "features for fc8, all of it everywhere",
    ]);
    const shapes = Object.fromEntries(own(name, "towers", 2).map(({ name: parameter, shape }) => [parameter, shape]));
    expect(shapes["conv1.weight"]).toEqual([48, 3, 11, 11]);
    expect(shapes["conv2.weight"]).toEqual([128, 48, 5, 5]);
    expect(shapes["conv3.weight"]).toEqual([192, 256, 3, 3]);
    expect(shapes["conv4.weight"]).toEqual([192, 192, 3, 3]);
    expect(shapes["conv5.weight"]).toEqual([128, 192, 3, 3]);
    expect(shapes["fc6.weight"]).toEqual([2048, 9216]);
    expect(shapes["fc7.bias"]).toEqual([2048]);
    expect(shapes["fc8.weight"]).toEqual([1000, 4096]);
  });

  test("convolutions of one group need all maps", () => {
    expect(gatheredFor("small", "towers", 2)).toEqual([
      "features for conv2",
      "features for conv3",
      "features for fc4, all of it everywhere",
    ]);
  });
});

test("a depthwise convolution reads the device's own maps", () => {
  const start = { sigma: 0.1 };
  const layers = () => [
    conv("a", 8, 3, { pad: "same", stride: 2, ...start }),
    conv("b", 8, 3, { pad: "same", stride: 2, groups: 8, ...start }),
    fc("c", 3, start),
  ];
  const { network, stages } = partOf({ ...findNetwork("small"), layers }, "towers", 2, 3);
  expect(stages.map(({ needs }) => needs)).toEqual([undefined, "features"]);
  const [, b] = place(network, 3);
  expect(b!.input).toEqual([4, 16, 16]);
  expect(b!.output).toEqual([4, 8, 8]);
  expect(b!.parameters.map(({ shape }) => shape)).toEqual([[4, 1, 3, 3], [4]]);
  expect(b!.layer.options).toMatchObject({ filters: 4, groups: 4, pad: "same" });
});

test("one weird trick: images up to the first fully connected layer, units from there on", () => {
  expect(gatheredFor("alexnet-owt", "owt", 4)).toEqual([
    "images for classifier.1",
    "features for classifier.4",
    "features for classifier.6, all of it everywhere",
  ]);
  const whole = place(findNetwork("alexnet-owt")).flatMap(({ parameters }) => parameters);
  const part = own("alexnet-owt", "owt", 4);
  for (const [i, { name, shape }] of whole.entries()) {
    const isShared = /classifier\.[14]\./.test(name);
    expect(size(part[i]!.shape) * (isShared ? 4 : 1), name).toBe(size(shape));
  }
});

test.each([
  ["owt", 3, "fc6 of alexnet can't be divided equally among 3 ranks"],
  ["towers", 7, "conv1 of alexnet can't be divided equally among 7 ranks"],
] as const)("%s over %i: %s", (cut, of, text) => {
  expect(() => partOf(findNetwork("alexnet"), cut, of, 1000)).toThrow(`split ${cut}: ${text}`);
});
