/** Functions of the library refuse options that they don't have, or that are of another kind, before they do anything. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as library from "../src/index.ts";
import { openReference, type Backend } from "../src/index.ts";
import { any, testRefusals, type Refusal } from "./support/refusals.ts";

const { layers, Model, networks, openDevice, Sgd, train } = library;
const small = library.findNetwork("small");
const RECIPE = { momentum: 0.9, decay: 0, biasRate: 1, biasDecay: false };
const LAYERS = "conv1, conv2, conv3, fc4";

const NETWORKS: readonly Refusal<Backend>[] = [
  [
    'UsageError: conv c: there is no option "padding"; did you mean "pad"?',
    () => layers.conv("c", 8, 3, any({ padding: 1, sigma: 0.1 })),
  ],
  ["UsageError: conv c: sigma is undefined, must be given", () => layers.conv("c", 8, 3, any({ pad: 1 }))],
  [
    "ShapeError: conv c: sigma is NaN, must be a finite number, at least 0",
    () => layers.conv("c", 8, 3, { sigma: NaN }),
  ],
  [
    'ShapeError: conv c: sigma is "fan_in", must be a finite number, at least 0',
    () => layers.conv("c", 8, 3, any({ sigma: "fan_in" })),
  ],
  ["ShapeError: conv c: filters is 0, must be a whole number, at least 1", () => layers.conv("c", 0, 3, { sigma: 1 })],
  ["ShapeError: conv c: size is 2.5, must be a whole number, at least 1", () => layers.conv("c", 8, 2.5, { sigma: 1 })],
  [
    "ShapeError: conv c: stride is 0, must be a whole number, at least 1",
    () => layers.conv("c", 8, 3, { sigma: 1, stride: 0 }),
  ],
  [
    'ShapeError: conv c: pad is -1, must be a whole number, at least 0, or "same"',
    () => layers.conv("c", 8, 3, { sigma: 1, pad: -1 }),
  ],
  ["ShapeError: conv c: 8 filters don't divide into 3 groups", () => layers.conv("c", 8, 3, { sigma: 1, groups: 3 })],
  [
    "ShapeError: conv: the name is 8, must be a string that is not empty",
    () => layers.conv(any(8), 3, 3, { sigma: 1 }),
  ],
  [
    'UsageError: local c: there is no option "groups"; there are sigma, bias, decay, stride and pad',
    () => layers.local("c", 8, 3, any({ sigma: 1, groups: 2 })),
  ],
  ["ShapeError: fc f: outputs is 1.5, must be a whole number, at least 1", () => layers.fc("f", 1.5, { sigma: 1 })],
  [
    'UsageError: fc f: there is no option "std"; there are sigma, bias and decay',
    () => layers.fc("f", 2, any({ std: 1 })),
  ],
  ["ShapeError: max-pool: stride is 0, must be a whole number, at least 1", () => layers.maxPool(3, 0)],
  [
    'UsageError: average-pool: there is no option "ceil"; there are window, stride, round and pad',
    () => layers.averagePool(3, 2, any({ ceil: true })),
  ],
  ["ShapeError: lrn: n is 0, must be a whole number, at least 1", () => layers.lrn({ n: 0, k: 1, alpha: 1, beta: 1 })],
  ["ShapeError: dropout: keep is 0, must lie between 0 and 1", () => layers.dropout(0)],
  ["UsageError: mapNorm: size is undefined, must be a number", () => layers.mapNorm(any({ k: 1, alpha: 1, beta: 1 }))],
  [
    'UsageError: the network is "small", must be a Network, such as one of `networks`; findNetwork(name) finds one by its name',
    (backend) => new Model(any("small"), backend),
  ],
  ["UsageError: small: 1 class; a classifier needs at least 2", (backend) => new Model(small, backend, 1)],
  ["UsageError: small: NaN classes; a classifier needs at least 2", (backend) => new Model(small, backend, NaN)],
  [
    "ShapeError: initialise: seed is 0.5, must be a whole number, at least 0",
    (backend) => new Model(small, backend).initialise(0.5),
  ],
  [
    `UsageError: freeze: small has no layer "conv9" that learns; did you mean "conv1"?; there are ${LAYERS}`,
    (backend) => new Model(small, backend).freeze(["conv9"]),
  ],
  [
    'UsageError: freeze: layers is "conv1", must be an array of strings',
    (backend) => new Model(small, backend).freeze(any("conv1")),
  ],
  [
    "ShapeError: Sgd: decay is NaN, must be a finite number, at least 0",
    (backend) => new Sgd(new Model(small, backend), { momentum: 0.9, biasRate: 1, decay: NaN }),
  ],
  [
    'ShapeError: Sgd.step: the rate is "0.01", must be a number, or a function of a layer\'s name',
    (backend) => new Sgd(new Model(small, backend), RECIPE).step(any("0.01")),
  ],
];

const CHECKPOINTS: readonly Refusal<Backend>[] = [
  [
    "ShapeError: saveCheckpoint: 2 class names for a model with 10 classes",
    (backend) => save(backend, { classes: ["ant", "bee"] }),
  ],
  [
    "ShapeError: saveCheckpoint: the mean is a Float32Array of 3 numbers, must be a Float32Array of 32 × 32 × 3",
    (backend) => save(backend, { mean: new Float32Array(3) }),
  ],
  [
    'UsageError: saveCheckpoint: there is no option "epoch"; there are model, classes, mean, optimizer and state',
    (backend) => save(backend, { epoch: 3 }),
  ],
];

function save(backend: Backend, other: object): Promise<void> {
  const model = new Model(small, backend);
  const classes = Array.from({ length: 10 }, (_, k) => `class ${k}`);
  const contents = { model, classes, mean: new Float32Array(32 * 32 * 3), state: {}, ...other };
  return library.saveCheckpoint("/nowhere/at/all", contents);
}

const DATA: readonly Refusal<Backend>[] = [
  [
    "ShapeError: createLoader: batch is 0, must be a whole number, at least 1",
    () => library.createLoader(library.shapes().val, { batch: 0, recordSize: 32 }),
  ],
  [
    'UsageError: createLoader: there is no option "size"; did you mean "resize"?',
    () => library.createLoader(library.shapes().val, any({ batch: 1, size: 32 })),
  ],
  [
    "UsageError: createLoader: recordSize is undefined, must be a number",
    () => library.createLoader(library.shapes().val, any({ batch: 1 })),
  ],
  [
    "ShapeError: createLoader: samples are an Array, must be a Uint32Array",
    () => library.createLoader(library.shapes().val, any({ batch: 1, recordSize: 32, samples: [0] })),
  ],
  [
    "ShapeError: createLoader: sample 2000 is out of range: shapes (validation) has 2000 images, 0 to 1999",
    () => library.createLoader(library.shapes().val, { batch: 1, recordSize: 32, samples: Uint32Array.of(1, 2000) }),
  ],
  ["ShapeError: shapes: train is -10, must be a whole number, at least 1", () => library.shapes({ train: -10 })],
  [
    'UsageError: shapes: there is no option "count"; there are train, val, seed and size',
    () => library.shapes(any({ count: 10 })),
  ],
  [
    'UsageError: openDataset: there is no option "holdout"; did you mean "holdOut"?',
    () => library.openDataset("photos", any({ holdout: 0.2 })),
  ],
  [
    "UsageError: openDataset: holdOut is 1.5, must be at least 0 and below 1",
    () => library.openDataset("photos", { holdOut: 1.5 }),
  ],
  [
    "UsageError: openDataset: data undefined: must be a path, or a Dataset such as one of datasetOf()",
    () => library.openDataset(any(undefined)),
  ],
  [
    'UsageError: drawViews: there is no option "flip"; there are record, size, crop, pad, mirror, alternate, colour, sharedCrop, divideBy, resizedCrop, jitter, erase, mixup, cutmix and smooth',
    () => library.drawViews(any({ ...VIEWS, flip: true }), undefined, 0, 0, Uint32Array.of(0), 0),
  ],
  [
    "ShapeError: drawViews: a crop of 33 is larger than an image of 32",
    () => library.drawViews({ ...VIEWS, size: 33 }, undefined, 0, 0, Uint32Array.of(0), 0),
  ],
  ["ShapeError: centreView: images is 0, must be a whole number, at least 1", () => library.centreView(0, 32, 32)],
  ["ShapeError: testViews: the count is 5, must be 1, 2, 6, 10", () => library.testViews(any(5), 1, 32, 32)],
  [
    "ShapeError: mixedLabels: 3 labels for 2 views",
    () => library.mixedLabels(library.centreView(2, 32, 32), new Uint32Array(3), 32),
  ],
];
const VIEWS = { record: 32, size: 32, crop: true, mirror: true, colour: 0 };

const TASKS: readonly Refusal<Backend>[] = [
  [
    'UsageError: openDevice: the options are "cpu", must be an object with device, blas, threads and tune',
    () => openDevice(any("cpu")),
  ],
  [
    'UsageError: openDevice: there is no option "thread"; did you mean "threads"?',
    () => openDevice(any({ device: "cpu", thread: 1 })),
  ],
  ['UsageError: openDevice: threads is "2", must be a number', () => openDevice(any({ device: "cpu", threads: "2" }))],
  [
    "UsageError: openDevice: threads NaN: must be a whole number from 1 to 1024",
    () => openDevice({ device: "cpu", threads: NaN }),
  ],
  [
    "UsageError: openDevice: threads 100000: must be a whole number from 1 to 1024",
    () => openDevice({ device: "cpu", threads: 100_000 }),
  ],
  ['UsageError: openDevice: blas is "off", must be true or false', () => openDevice(any({ blas: "off" }))],
  ['UsageError: train: there is no option "batchSize"; did you mean "batch"?', () => train(any({ batchSize: 32 }))],
  ['UsageError: train: there is no option "epoch"; did you mean "epochs"?', () => train(any({ epoch: 3 }))],
  ['UsageError: train: epochs is "3", must be a number', () => train(any({ epochs: "3" }))],
  ['UsageError: train: rate is "0.1", must be a number', () => train(any({ rate: "0.1" }))],
  [
    "UsageError: train: data null: must be a path, or a Dataset such as one of datasetOf()",
    () => train(any({ data: null })),
  ],
  [
    'UsageError: train: there is no option "lr"; there are data, val, holdOut, fold, fraction, limit, epochImages, balance, weights, lossWeights, model, from, freeze, statistics, rates, decays, epochs, minutes, patience, recipe, batch, accumulate, rate, schedule, warmup, optimizer, average, momentum, decay, augment, seed, split, precision, device, blas, threads, tune, out, resume, allowChangedData, onEvent, signal and ranks',
    () => train(any({ lr: 0.1 })),
  ],
  [
    "UsageError: train: the options are a function, must be an object with data, val, holdOut, fold, fraction, limit, epochImages, balance, weights, lossWeights, model, from, freeze, statistics, rates, decays, epochs, minutes, patience, recipe, batch, accumulate, rate, schedule, warmup, optimizer, average, momentum, decay, augment, seed, split, precision, device, blas, threads, tune, out, resume, allowChangedData, onEvent, signal and ranks",
    () => train(any(() => {})),
  ],
  [
    'UsageError: evaluate: there is no option "onProgress"; there are data, model, models, views, batch, out, submission, device, blas, threads, tune, onEvent, signal and ranks',
    () => library.evaluate(any({ onProgress: () => {} })),
  ],
  ["UsageError: train: epochs -1: must be a whole number, at least 0", () => train({ epochs: -1 })],
  ["UsageError: train: epochs NaN: must be a whole number, at least 0", () => train({ epochs: NaN })],
  ["UsageError: train: batch 0.5: must be a whole number above 0", () => train({ batch: 0.5 })],
  ["UsageError: train: rate NaN: must be a number above 0", () => train({ rate: NaN })],
  ["UsageError: train: rate -0.1: must be a number above 0", () => train({ rate: -0.1 })],
  ["UsageError: train: decay Infinity: must be at least 0, and finite", () => train({ decay: Infinity })],
  ["UsageError: train: momentum NaN: must be at least 0 and below 1", () => train({ momentum: NaN })],
  [
    'UsageError: predict: images "x.jpg": must be an array of paths and of Uint8Arrays with the bytes of files',
    () => library.predict(any({ images: "x.jpg" })),
  ],
  ["UsageError: predict: images is undefined, must be given", () => library.predict(any({}))],
  [
    'UsageError: predict: there is no option "view"; did you mean "views"?',
    () => library.predict(any({ images: ["x.jpg"], view: 2 })),
  ],
  [
    'UsageError: similar: images "x.jpg": must be an array of paths and of Uint8Arrays with the bytes of files',
    () => library.similar(any({ images: "x.jpg" })),
  ],
  [
    'UsageError: evaluate: models is "a,b", must be an array of strings',
    () => library.evaluate(any({ models: "a,b" })),
  ],
  ['UsageError: features: batch is "2", must be a number', () => library.features(any({ batch: "2" }))],
  ["UsageError: look: images is an Array, must be a number", () => library.look(any({ images: ["x.jpg"] }))],
  ["UsageError: draw: what is undefined, must be a string", () => library.draw(any({}))],
  [
    'UsageError: exportModel: there is no option "format"; there are model, as, out, logits, half, atLeast, onEvent, signal and ranks',
    () => library.exportModel(any({ format: "onnx" })),
  ],
  [
    'UsageError: importWeights: there is no option "std"; there are file, out, model, classes, mean, deviation, pixels, order, onEvent, signal and ranks',
    () => library.importWeights(any({ file: "x", std: 1 })),
  ],
  ['UsageError: report: csv is "yes", must be true or false', () => library.report(any({ csv: "yes" }))],
  [
    'UsageError: doctor: the options are "cpu", must be an object with device, onEvent, signal and ranks',
    () => library.doctor(any("cpu")),
  ],
  [
    'UsageError: reproduce: claims is "all", must be an array of strings',
    () => library.reproduce(any({ claims: "all" })),
  ],
  ["UsageError: pack: out is undefined, must be a string", () => library.pack(any({ data: "photos" }))],
];

describe("the library", () => {
  let backend: Backend;
  beforeEach(() => void (backend = openReference()));
  afterEach(() => backend.close());
  for (const refusals of [NETWORKS, CHECKPOINTS, DATA, TASKS]) testRefusals(refusals, () => backend);

  test("a rate of a layer that is no number", async () => {
    const model = new Model(small, backend);
    model.initialise(0);
    const tape = new library.Tape(backend);
    const x = tape.input([3, small.crop, small.crop, 1], new Float32Array(3 * small.crop ** 2));
    const { loss } = library.softmaxCrossEntropy(model.forward(x), tape.input([1], Uint32Array.of(3)));
    tape.backward(loss);
    const step = (rate: number) => () => new Sgd(model, RECIPE).step(() => rate);
    expect(step(NaN)).toThrow("Sgd.step: the rate of conv1 is NaN, must be a finite number, at least 0");
    expect(step(-1)).toThrow("Sgd.step: the rate of conv1 is -1, must be a finite number, at least 0");
    step(0.1)();
  });

  test("all networks stand these checks, and their parts", () => {
    for (const network of networks) expect(library.place(network, 10).length).toBeGreaterThan(4);
  });
});
