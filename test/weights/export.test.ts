/** ONNX graphs, computed by plain loops, give what the networks give: all kinds of layers, with odd sizes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../src/engine/backend.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import { networkGraph } from "../../src/weights/export/graph.ts";
import { onnxModel } from "../../src/weights/export/onnx.ts";
import * as L from "../../src/net/layers/index.ts";
import { Model, place } from "../../src/net/model.ts";
import { small } from "../../src/net/cifar_networks.ts";
import type { Network } from "../../src/net/recipe.ts";
import { Purpose, Random } from "../../src/random.ts";
import { readOnnx } from "../support/onnx.ts";

const CLASSES = 3;
const IMAGES = 2;
let backend: Backend;
beforeAll(() => void (backend = openReference("f64")));
afterAll(() => backend.close());

const start = { sigma: 0.3, bias: 0.2 };
const NETWORKS: Readonly<Record<string, readonly L.Layer[]>> = {
  "groups, strides and padding": [
    L.conv("a", 8, 3, { ...start, stride: 2, pad: 1 }),
    L.relu(),
    L.conv("b", 6, 3, { ...start, pad: 2, groups: 2 }),
    L.tanh(),
    L.fc("c", CLASSES, start),
  ],
  'depthwise, and padding "same"': [
    // 14 → 7 → 4: all padding is below and on the right, then there is as much on each side.
    L.conv("a", 6, 3, { ...start, stride: 2, pad: "same" }),
    L.conv("b", 6, 3, { ...start, stride: 2, pad: "same", groups: 6 }),
    L.relu(),
    L.conv("c", 4, 4, { ...start, pad: "same" }),
    L.local("d", 2, 3, { ...start, stride: 2, pad: "same" }),
    L.fc("e", CLASSES, start),
  ],
  "pooling, rounded up and down": [
    L.conv("a", 4, 3, { ...start, pad: 1 }),
    L.maxPool(3, 2),
    L.averagePool(3, 2),
    L.maxPool(3, 2, { round: "down" }),
    L.fc("b", CLASSES, start),
  ],
  "division, and pooling with padding": [
    L.divide(0.5),
    L.conv("a", 4, 3, { ...start, pad: 1 }),
    L.maxPool(3, 2, { round: "down", pad: 1 }),
    L.averagePool(3, 1, { pad: 1 }),
    L.maxPool(3, 2, { pad: 1 }),
    L.fc("b", CLASSES, start),
  ],
  "normalisation across maps": [
    L.conv("a", 9, 3, start),
    L.lrn({ n: 5, k: 2, alpha: 0.1, beta: 0.75 }),
    L.fc("b", CLASSES, start),
  ],
  "… in halves": [
    L.conv("a", 10, 3, start),
    L.lrn({ n: 5, k: 1.5, alpha: 0.2, beta: 0.6, groups: 2 }),
    L.fc("b", CLASSES, start),
  ],
  "normalisation inside a map": [
    L.conv("a", 3, 3, start),
    L.mapNorm({ size: 3, k: 1, alpha: 0.05, beta: 0.75 }),
    L.mapNorm({ size: 5, k: 1, alpha: 0.02, beta: 0.5 }),
    L.fc("b", CLASSES, start),
  ],
  "a residual block": [
    L.conv("a", 4, 3, start),
    L.residual("b", [L.conv("b.a", 4, 3, { ...start, pad: 1 }), L.relu()]),
    L.residual("c", [L.conv("c.a", 5, 3, { ...start, stride: 2 })], [L.conv("c.b", 5, 3, { ...start, stride: 2 })]),
    L.fc("d", CLASSES, start),
  ],
  "layers without biases": [
    L.conv("a", 4, 3, { sigma: 0.3, bias: false }),
    L.relu(),
    L.conv("b", 4, 3, { sigma: 0.3, bias: false, groups: 4 }),
    L.fc("c", CLASSES, { sigma: 0.3, bias: false }),
  ],
  "batch normalisation": [
    L.conv("a", 4, 3, { sigma: 0.3, bias: false }),
    L.batchNorm("b"),
    L.relu(),
    L.batchNorm("c", { learns: "shift", epsilon: 0.1 }),
    L.maxPool(3, 2),
    L.batchNorm("d", { learns: "neither" }),
    L.fc("e", CLASSES, start),
  ],
  "branches side by side, and the means of their maps": [
    L.concat("a", [[L.conv("a.narrow", 4, 1, start), L.relu()], [L.conv("a.wide", 3, 3, { ...start, pad: 1 })], []]),
    L.concat("b", [[L.conv("b.conv", 5, 3, start), L.globalAveragePool()], [L.globalAveragePool()]]),
    L.concat("c", [[L.fc("c.fc", 4, start)], [L.fc("c.other", 3, start), L.tanh()]]),
    L.fc("d", CLASSES, start),
  ],
  "local layers": [
    L.conv("a", 3, 3, start),
    L.local("b", 4, 3, { ...start, pad: 1 }),
    L.relu(),
    L.local("c", 2, 3, { ...start, stride: 2 }),
    L.fc("d", CLASSES, start),
  ],
  "other activation functions": [
    L.conv("a", 4, 3, { ...start, sigma: 2 }),
    L.relu6(),
    L.conv("b", 4, 3, start),
    L.silu(),
    L.conv("c", 4, 3, start),
    L.gelu(),
    L.conv("d", 4, 3, start),
    L.geluTanh(),
    L.conv("e", 4, 3, start),
    L.hardSwish(),
    L.fc("f", 5, start),
    L.sigmoid(),
    L.fc("g", CLASSES, start),
  ],
  "two hidden layers and dropout": [
    L.fc("a", 7, start),
    L.relu(),
    L.dropout(),
    L.fc("b", 5, start),
    L.dropout(),
    L.fc("c", CLASSES, start),
  ],
};

const uniform = (length: number, index: number) => {
  const random = new Random(6, Purpose.drawing, index);
  return Float32Array.from({ length }, () => 4 * random.uniform() - 2);
};

describe("what an ONNX graph computes", () => {
  test.each(Object.keys(NETWORKS))("%s", async (title) => {
    // 14 is even where pools round: 14 → 7 → 3, and 13 would not tell up from down.
    const crop = 14;
    const network: Network = { ...small, name: "odd", crop, record: crop, layers: () => NETWORKS[title]! };
    const model = new Model(network, backend, CLASSES);
    model.initialise(1);
    const pixels = uniform(3 * crop * crop * IMAGES, 1);
    const mean = uniform(3 * crop * crop, 2);
    // Running means and variances as after some steps.
    model.state.forEach(({ buffer, size }, i) =>
      backend.write(
        buffer,
        uniform(size, 10 + i).map((v) => 2.5 + v),
      ),
    );
    const stored = new Map<string, Float32Array>();
    for (const tensor of [...model.parameters, ...model.state]) {
      stored.set(tensor.name, Float32Array.from((await tensor.read()) as Float32Array));
    }
    const tape = new Tape(backend, { record: false });
    // Images innermost, and the mean subtracted.
    const input = Float32Array.from(pixels, (_, i) => {
      const [at, n] = [Math.floor(i / IMAGES), i % IMAGES];
      return pixels[n * 3 * crop * crop + at]! - mean[at]!;
    });
    const logits = await model.forward(tape.input([3, crop, crop, IMAGES], input)).read();
    const expected = Float64Array.from(logits, (_, i) => logits[(i % CLASSES) * IMAGES + Math.floor(i / CLASSES)]!);
    const options = { layers: place(network, CLASSES), stored: (name: string) => stored.get(name)!, mean };

    const plain = readOnnx(onnxModel(networkGraph({ ...options, logits: true })));
    expect([plain.input, plain.output]).toEqual([
      ["N", 3, crop, crop],
      ["N", CLASSES],
    ]);
    const { shape, data } = plain.run({ shape: [IMAGES, 3, crop, crop], data: pixels });
    expect(shape).toEqual([IMAGES, CLASSES]);
    const scale = Math.max(...expected.map(Math.abs));
    expect(scale).toBeGreaterThan(0.1);
    data.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5 * scale));

    const soft = readOnnx(onnxModel(networkGraph({ ...options, logits: false })));
    const p = soft.run({ shape: [IMAGES, 3, crop, crop], data: pixels }).data;
    for (let n = 0; n < IMAGES; n++) {
      const own = expected.subarray(n * CLASSES, (n + 1) * CLASSES).map(Math.exp);
      const total = own.reduce((sum, value) => sum + value, 0);
      own.forEach((value, k) => expect(p[n * CLASSES + k]!).toBeCloseTo(value / total, 4));
    }
    tape.release();
    model.free();
  });
});
