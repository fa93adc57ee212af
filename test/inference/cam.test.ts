/** Class activation maps: by numeric differences, by hand, on every device, and of which layer. */
import { describe, expect, test } from "bun:test";
import { centreView } from "../../src/data/augmentation.ts";
import type { Backend, HostArray } from "../../src/engine/backend.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { UsageError } from "../../src/errors.ts";
import { classActivationMaps, lastMaps } from "../../src/inference/cam.ts";
import { small } from "../../src/net/cifar_networks.ts";
import * as layers from "../../src/net/layers/index.ts";
import { Model, place } from "../../src/net/model.ts";
import { findNetwork, networks } from "../../src/net/networks.ts";
import { networkInput, uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { describeBackends } from "../support/backends.ts";
import { expectClose, randomArray } from "../support/data.ts";

const { averagePool, batchNorm, conv, dropout, fc, globalAveragePool, relu, residual } = layers;
const SIDE = 6;
const START = { sigma: 0.4 } as const;

/** Average pooling, as the largest of equal numbers has no derivative. */
const network: Network = {
  ...small,
  ...{ name: "mapped", crop: SIDE, record: SIDE, classes: 3 },
  layers: (classes) => [
    [conv("conv1", 4, 3, { pad: 1, ...START }), batchNorm("norm1"), relu()],
    [residual("block", [conv("conv2", 4, 3, { pad: 1, ...START }), batchNorm("norm2")]), relu(), averagePool(2, 2)],
    [dropout(), fc("fc3", 5, START), relu(), dropout(), fc("fc4", classes, START)],
  ],
};
const LABELS = [2, 0];
const IMAGES = {
  pixels: Uint8Array.from(randomArray([LABELS.length * 3 * SIDE * SIDE], 4), (v) => 128 + 127 * v),
  views: centreView(LABELS.length, SIDE, SIDE),
};

function memberOn(backend: Backend) {
  const model = new Model(network, backend);
  model.initialise(1);
  model.state.forEach((statistic, i) =>
    backend.write(
      statistic.buffer,
      // Means near 0, variances as large as the maps': something passes the activation functions.
      randomArray(statistic.shape, i).map((v) => (i % 2 === 0 ? v : 900 + 100 * v)),
    ),
  );
  return { model, mean: uploadMean(backend, SIDE, new Float32Array(3 * SIDE * SIDE).fill(120)) };
}

/** The maps with gradients from central differences, in float64. */
async function byDifferences(): Promise<number[][]> {
  const backend = openReference("f64");
  const { model, mean } = memberOn(backend);
  const count = 5;
  const tape = new Tape(backend, { record: false });
  const output = model.forward(networkInput(tape, model, mean, IMAGES), undefined, count);
  const [shape, values] = [output.shape, (await output.read()) as HostArray as Float64Array];
  const [channels, size, n] = [shape[0]!, SIDE * SIDE, LABELS.length];
  const logits = async () =>
    (await model.forward(tape.input(shape, values), undefined, undefined, count).read()).slice();
  const maps = LABELS.map(() => Array<number>(size).fill(0));
  for (const [image, label] of LABELS.entries()) {
    for (let k = 0; k < channels; k++) {
      let weight = 0;
      for (let i = 0; i < size; i++) {
        const [at, step] = [(k * size + i) * n + image, 1e-5];
        const value = values[at]!;
        values[at] = value + step;
        const above = (await logits())[label * n + image]!;
        values[at] = value - step;
        weight += (above - (await logits())[label * n + image]!) / (2 * step) / size;
        values[at] = value;
      }
      for (let i = 0; i < size; i++) maps[image]![i]! += weight * values[(k * size + i) * n + image]!;
    }
  }
  tape.release();
  return maps.map((map) => map.map((value) => Math.max(0, value)));
}

const expected = await byDifferences();

test("with batch normalisation, a residual block, dropout and two fully connected layers: as by differences", async () => {
  const { layer, side, maps } = await classActivationMaps(memberOn(openReference("f64")), IMAGES, LABELS);
  expect([layer, side]).toEqual(["block", SIDE]);
  maps.forEach((map, n) => {
    expect(map.some((value) => value > 0) && map.some((value) => value === 0)).toBe(true);
    expectClose(`map ${n}`, map, expected[n]!, 1e-6);
  });
});

describeBackends("class activation maps", ({ open }) => {
  test("as by differences, and a training's gradients are left alone", async () => {
    const member = memberOn(await open());
    member.model.freeze(["conv1"]);
    const learning = () => member.model.parameters.map(({ requiresGrad }) => requiresGrad);
    const before = learning();
    const { maps } = await classActivationMaps(member, IMAGES, LABELS);
    maps.forEach((map, n) => expectClose(`map ${n}`, map, expected[n]!, 1e-4));
    expect(learning()).toEqual(before);
    expect(member.model.parameters.filter(({ grad }) => grad)).toEqual([]);
    member.model.free();
  });
});

test("the corner that the answer depends on lights up, and for another class all but the corner", async () => {
  const colours: Network = {
    ...network,
    classes: 2,
    // A map of what is red and one of what is blue, and a class for each.
    layers: (classes) => [conv("conv1", 2, 1, START), relu(), globalAveragePool(), fc("fc2", classes, START)],
  };
  const backend = openReference("f64");
  const model = new Model(colours, backend);
  const values = {
    "conv1.weight": [1, 0, 0, 0, 0, 1],
    "conv1.bias": [0, 0],
    "fc2.weight": [3, -1, -1, 2],
    "fc2.bias": [0, 0],
  };
  for (const { name, buffer } of model.parameters)
    backend.write(buffer, Float32Array.from(values[name as keyof typeof values]));
  const isCorner = (i: number) => i % SIDE >= 4 && i < 2 * SIDE;
  const one = Array.from({ length: SIDE * SIDE }, (_, i) => (isCorner(i) ? [50, 0, 0] : [0, 0, 80])).flat();
  const images = { pixels: Uint8Array.from([...one, ...one]), views: centreView(2, SIDE, SIDE) };
  const mean = uploadMean(backend, SIDE, new Float32Array(3 * SIDE * SIDE));
  const { maps } = await classActivationMaps({ model, mean }, images, [0, 1]);
  const size = SIDE * SIDE;
  maps[0]!.forEach((value, i) => expect(value).toBeCloseTo(isCorner(i) ? (3 / size) * 50 : 0, 5));
  maps[1]!.forEach((value, i) => expect(value).toBeCloseTo(isCorner(i) ? 0 : (2 / size) * 80, 5));
});

describe("the layer", () => {
  const mapsOf = (placed: ReturnType<typeof place>) => {
    const found = lastMaps(placed);
    return found && `${found.name} ${placed[found.count - 1]!.layer.kind} ${placed[found.count - 1]!.output.join("×")}`;
  };

  test.each([
    ["alexnet", "conv5 relu 256×13×13"],
    // Pooled before it is rectified.
    ["alexnet-2012", "conv5 relu 256×6×6"],
    // The locally connected layers are passed over.
    ["cifar10-13pct", "conv2 relu 64×12×12"],
    ["resnet18", "layer4.1 relu 512×7×7"],
    ["efficientnet-lite0", "_conv_head relu6 1280×7×7"],
  ])("of %s is %s", (name, layer) => {
    expect(mapsOf(place(findNetwork(name)))).toBe(layer);
  });

  test("every network has one", () => {
    for (const each of networks) expect(lastMaps(place(each)), each.name).toBeDefined();
  });

  test("a network without: an error of one line", async () => {
    const flat: Network = { ...network, name: "flat", layers: (classes) => [fc("fc1", classes, START)] };
    const backend = openReference();
    const member = {
      model: new Model(flat, backend),
      mean: uploadMean(backend, SIDE, new Float32Array(3 * SIDE * SIDE)),
    };
    const error = await classActivationMaps(member, IMAGES, LABELS).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toBe(
      "flat has no class activation maps: they are made of a convolution's output, which must be larger than 1×1",
    );
  });
});
