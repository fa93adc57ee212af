/** What comes out of a layer in the middle of a network. */
import { describe, expect, test } from "bun:test";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { conv, dropout, fc, maxPool, relu } from "../../src/net/layers/index.ts";
import { Model, place } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { findTap } from "../../src/net/tap.ts";
import { expectClose, randomArray } from "../support/data.ts";

const network: Network = {
  ...small,
  ...{ name: "tapped", crop: 4, record: 4, classes: 3 },
  layers: (classes) => [
    ...[conv("conv1", 2, 3, { pad: 1, sigma: 0.3 }), relu(), maxPool(2, 2)],
    ...[fc("fc2", 5, { sigma: 0.5 }), relu(), dropout(), fc("fc3", classes, { sigma: 0.5 })],
  ],
};

describe("where", () => {
  const tap = (name: string, layer?: string) => findTap(place(findNetwork(name)), layer);

  test("by default what the last layer decides by: AlexNet's fc7, 4,096 numbers", () => {
    expect(tap("alexnet")).toMatchObject({ name: "fc7", size: 4096 });
    expect(tap("alexnet-owt")).toMatchObject({ size: 4096 });
    expect(tap("cifar10-18pct")).toMatchObject({ name: expect.stringMatching(/^input of fc/), size: 64 * 4 * 4 });
  });

  test("the maps that a last convolution reads; a convolution with its norm and activation, and a block by name", () => {
    expect(tap("squeezenet1_1")).toMatchObject({ name: "input of classifier.1", size: 512 * 13 * 13 });
    expect(tap("resnet18")).toMatchObject({ name: "input of fc", size: 512 });
    expect(tap("resnet18", "conv1")).toMatchObject({ count: 4, size: 64 * 112 * 112 });
    expect(tap("resnet18", "layer1.0")).toMatchObject({ count: 7, size: 64 * 56 * 56 });
  });

  test("a layer by name, with the activation function behind it", () => {
    expect(findTap(place(network), "fc2")).toEqual({ name: "fc2", count: 5, size: 5 });
    expect(findTap(place(network), "conv1")).toEqual({ name: "conv1", count: 2, size: 2 * 4 * 4 });
    expect(findTap(place(network), "fc3")).toEqual({ name: "fc3", count: 7, size: 3 });
    expect(() => findTap(place(network), "fc1")).toThrow(
      'no layer is called "fc1"; did you mean "fc2"?; there are conv1, fc2, fc3',
    );
  });
});

test("the numbers are those of a computation by hand", async () => {
  const backend = openReference("f64");
  const model = new Model(network, backend, 3);
  model.initialise(3);
  const images = 2;
  const input = randomArray([3, 4, 4, images], 1);
  const [w1, b1, w2, b2] = await Promise.all(model.parameters.map((parameter) => parameter.read()));
  const tape = new Tape(backend, { record: false });
  const x = tape.input([3, 4, 4, images], input);
  const outputs = model.outputs(x, undefined, findTap(model.layers, "fc2").count);
  expect(outputs.map(({ shape }) => shape)).toEqual([
    ...[[2, 4, 4, images], [2, 4, 4, images], [2, 2, 2, images]], // prettier-ignore
    ...[[5, images], [5, images]], // prettier-ignore
  ]);
  const at = (c: number, y: number, x: number, n: number) =>
    y < 0 || y > 3 || x < 0 || x > 3 ? 0 : input[((c * 4 + y) * 4 + x) * images + n]!;
  const expected = new Float64Array(5 * images);
  for (let n = 0; n < images; n++) {
    const pooled: number[] = [];
    for (let f = 0; f < 2; f++) {
      for (const [py, px] of [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ] as const) {
        // prettier-ignore
        let most = 0;
        for (let k = 0; k < 4; k++) {
          const [y, x] = [2 * py + (k >> 1), 2 * px + (k & 1)];
          let sum = b1![f]!;
          for (let i = 0; i < 27; i++) {
            const [c, dy, dx] = [Math.floor(i / 9), Math.floor(i / 3) % 3, i % 3];
            sum += w1![f * 27 + i]! * at(c, y + dy - 1, x + dx - 1, n);
          }
          most = Math.max(most, sum);
        }
        pooled.push(most);
      }
    }
    for (let o = 0; o < 5; o++) {
      const sum = pooled.reduce((total, value, i) => total + w2![o * 8 + i]! * value, b2![o]!);
      expected[o * images + n] = Math.max(0, sum);
    }
  }
  expect(expected.filter((value) => value > 0).length).toBeGreaterThan(2);
  expectClose("fc2", await outputs.at(-1)!.read(), expected, 1e-6);
  expectClose("logits", await model.outputs(x).at(-1)!.read(), await model.forward(x).read(), 0);
  tape.release();
});
