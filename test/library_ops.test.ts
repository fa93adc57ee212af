/** Tape and ops refuse what makes no sense before it reaches the device: in the same words on every one. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import * as library from "../src/index.ts";
import { openReference, type Backend, type Tensor } from "../src/index.ts";
import { describeBackends } from "./support/backends.ts";
import { any, testRefusals, type Refusal } from "./support/refusals.ts";

const { averagePool, dropout, linear, lrn, mapNorm, maxPool, Parameter, relu, sgd, softmaxCrossEntropy, Tape } =
  library;

class Scene {
  readonly backend: Backend;
  readonly tape: InstanceType<typeof Tape>;
  constructor(backend: Backend) {
    this.backend = backend;
    this.tape = new Tape(backend);
  }
  /** A tensor of float32. */
  x(...shape: number[]): Tensor {
    return this.tape.input(shape, ones(shape.reduce((product, side) => product * side, 1)));
  }
  /** Class numbers. */
  labels(...values: number[]): Tensor<"u32"> {
    return this.tape.input([values.length], Uint32Array.from(values));
  }
  conv(options: unknown): Tensor {
    return library.conv2d(this.x(2, 4, 4, 1), this.x(4, 2, 3, 3), this.x(4), any(options));
  }
  loss(): Tensor {
    const x = this.tape.input([3, 2], ones(6), { requiresGrad: true });
    return softmaxCrossEntropy(relu(x), this.labels(0, 1)).loss;
  }
  /** Of another tape of the same device. */
  elsewhere(...shape: number[]): Tensor {
    return new Scene(this.backend).x(...shape);
  }
}

const ones = (length: number) => new Float32Array(length).fill(1);
const DATA = "must be a Float32Array or Float16Array, a Uint32Array (class indices) or a Uint8Array (pixels)";
const DIMENSIONS = "dimensions must be whole numbers above 0";
const RELEASED =
  "was used after its memory was released: backward() frees what it no longer needs, release() the rest; " +
  "call keep() on tensors to be read afterwards";

const TAPE: readonly Refusal<Scene>[] = [
  [`ShapeError: input: the data are an Array, ${DATA}`, ({ tape }) => tape.input([2], any([1, 2]))],
  [`ShapeError: input: the data are an Int32Array, ${DATA}`, ({ tape }) => tape.input([2], any(Int32Array.of(0, 1)))],
  [
    `ShapeError: input: the data are a Uint8ClampedArray, ${DATA}`,
    ({ tape }) => tape.input([2], any(new Uint8ClampedArray(2))),
  ],
  [`ShapeError: input: the data are undefined, ${DATA}`, ({ tape }) => tape.input([2], any(undefined))],
  ["ShapeError: input: 5 elements for shape 2 × 3, which has 6", ({ tape }) => tape.input([2, 3], ones(5))],
  [`ShapeError: input: shape 2 × 0: ${DIMENSIONS}`, ({ tape }) => tape.input([2, 0], ones(0))],
  [`ShapeError: input: shape -2 × -1: ${DIMENSIONS}`, ({ tape }) => tape.input([-2, -1], ones(2))],
  [`ShapeError: input: shape 0.5 × 4: ${DIMENSIONS}`, ({ tape }) => tape.input([0.5, 4], ones(2))],
  [`ShapeError: input: shape "2": ${DIMENSIONS}`, ({ tape }) => tape.input(any(["2"]), ones(2))],
  ["ShapeError: input: the shape is 2, must be an array of dimensions", ({ tape }) => tape.input(any(2), ones(2))],
  [`ShapeError: allocate: shape 1.5: ${DIMENSIONS}`, ({ tape }) => tape.allocate([1.5])],
  [
    `ShapeError: fc.weight: shape NaN × 2: ${DIMENSIONS}`,
    ({ backend }) => new Parameter(backend, "fc.weight", [NaN, 2]),
  ],
  [
    "ShapeError: Tensor: a buffer of 2 elements for shape 3, which has 3",
    ({ backend }) => new library.Tensor(backend, [3], backend.allocate("f32", 2)),
  ],
  [
    'ShapeError: allocate: the type is "f64", must be f32, u32, u8 or f16',
    ({ backend }) => backend.allocate(any("f64"), 2),
  ],
  [
    "ShapeError: allocate: length is -1, must be a whole number, at least 0",
    ({ backend }) => backend.allocate("f32", -1),
  ],
  [
    "DeviceError: write: a Uint32Array to a buffer of 2 × f32: must be a Float32Array",
    ({ backend }) => backend.write(backend.allocate("f32", 2), Uint32Array.of(1, 2)),
  ],
  [
    'UsageError: input: there is no option "requiresgrad"; did you mean "requiresGrad"?',
    ({ tape }) => tape.input([1], ones(1), any({ requiresgrad: true })),
  ],
  [
    'UsageError: Tape: there is no option "recording"; did you mean "record"?',
    ({ backend }) => new Tape(backend, any({ recording: false })),
  ],
];

const BACKWARD: readonly Refusal<Scene>[] = [
  [
    "ShapeError: backward: nothing recorded leads to this loss, or its gradients are already computed: run the forward pass again",
    (scene) => {
      const loss = scene.loss();
      scene.tape.backward(loss);
      scene.tape.backward(loss);
    },
  ],
  [
    "ShapeError: backward: the loss has shape 2, must be a scalar",
    ({ tape }) => tape.backward(relu(tape.input([2], ones(2), { requiresGrad: true }))),
  ],
  [
    "ShapeError: backward: the loss depends on no tensor that requires a gradient",
    (scene) => scene.tape.backward(scene.x(1)),
  ],
  ["ShapeError: backward: the loss belongs to another tape", (scene) => new Tape(scene.backend).backward(scene.loss())],
  [
    `ShapeError: backward: loss: a tensor of shape 1 ${RELEASED}`,
    (scene) => {
      const loss = scene.loss();
      scene.tape.release();
      scene.tape.backward(loss);
    },
  ],
  ["ShapeError: backward: loss is 0.5, must be a Tensor", ({ tape }) => tape.backward(any(0.5))],
  [
    "ShapeError: backward: weight is NaN, must be a finite number",
    (scene) => scene.tape.backward(scene.loss(), { weight: NaN }),
  ],
  [
    'UsageError: backward: there is no option "retainGraph"; there are weight, gradient and onGradient',
    (scene) => scene.tape.backward(scene.loss(), any({ retainGraph: true })),
  ],
];

const TENSORS: readonly Refusal<Scene>[] = [
  [
    "ShapeError: linear: w is on another device than x; an op's tensors must be on one device",
    (s) => linear(s.x(2, 3), new Scene(openReference()).x(4, 2), s.x(4)),
  ],
  [
    "ShapeError: linear: b belongs to another tape than x; make both with this step's tape",
    (s) => linear(s.x(2, 3), s.x(4, 2), s.elsewhere(4)),
  ],
  [
    `ShapeError: linear: b: a tensor of shape 4 ${RELEASED}`,
    (s) => {
      const b = s.elsewhere(4);
      b.tape!.release();
      linear(s.x(2, 3), s.x(4, 2), b);
    },
  ],
  [
    "ShapeError: tapeOf: input 2 belongs to another tape than input 1; make both with this step's tape",
    (s) => library.tapeOf(s.x(1), s.elsewhere(1)),
  ],
  ["ShapeError: conv2d: x is a Float32Array, must be a Tensor", (s) => library.conv2d(any(ones(3)), s.x(1), s.x(1))],
  ["ShapeError: relu: x, 2, has type u32, must be f32", (s) => relu(any(s.labels(1, 2)))],
];

const OPS: readonly Refusal<Scene>[] = [
  ['UsageError: conv2d: there is no option "padding"; did you mean "pad"?', (s) => s.conv({ padding: 1 })],
  ['UsageError: conv2d: there is no option "strides"; did you mean "stride"?', (s) => s.conv({ strides: 1 })],
  [
    "UsageError: conv2d: the options are 2, must be an object with stride, pad, groups, activation and scale",
    (s) => s.conv(2),
  ],
  ['UsageError: conv2d: stride is "2", must be a number', (s) => s.conv({ stride: "2" })],
  ["ShapeError: conv2d: stride is 0, must be a whole number, at least 1", (s) => s.conv({ stride: 0 })],
  ["ShapeError: conv2d: stride is 1.5, must be a whole number, at least 1", (s) => s.conv({ stride: 1.5 })],
  ['ShapeError: conv2d: pad is -1, must be a whole number, at least 0, or "same"', (s) => s.conv({ pad: -1 })],
  ["ShapeError: conv2d: groups is 0, must be a whole number, at least 1", (s) => s.conv({ groups: 0 })],
  ["ShapeError: conv2d: 2 maps don't divide into 3 groups", (s) => s.conv({ groups: 3 })],
  [
    "ShapeError: conv2d: input 2 × 4 × 4 × 1, weights 4 × 2 × 9, bias 4, 1 groups: need weights O × 2 × KH × KW with O a multiple of the groups, and O biases",
    (s) => library.conv2d(s.x(2, 4, 4, 1), s.x(4, 2, 9), s.x(4)),
  ],
  [
    'UsageError: local2d: there is no option "groups"; there are stride and pad',
    (s) => library.local2d(s.x(1, 2, 2, 1), s.x(1, 2, 2, 1, 1, 1), s.x(1, 2, 2), any({ groups: 1 })),
  ],
  [
    "ShapeError: local2d: stride is 0, must be a whole number, at least 1",
    (s) => library.local2d(s.x(1, 2, 2, 1), s.x(1, 2, 2, 1, 1, 1), s.x(1, 2, 2), { stride: 0 }),
  ],
  ["UsageError: maxPool: window is undefined, must be a number", (s) => maxPool(s.x(1, 4, 4, 1), any({ stride: 2 }))],
  [
    "ShapeError: maxPool: window is 0, must be a whole number, at least 1",
    (s) => maxPool(s.x(1, 4, 4, 1), { window: 0, stride: 2 }),
  ],
  [
    "ShapeError: maxPool: stride is 0, must be a whole number, at least 1",
    (s) => maxPool(s.x(1, 4, 4, 1), { window: 2, stride: 0 }),
  ],
  [
    "ShapeError: averagePool: window is -2, must be a whole number, at least 1",
    (s) => averagePool(s.x(1, 4, 4, 1), { window: -2, stride: 2 }),
  ],
  [
    'ShapeError: averagePool: round is "ceil", must be up or down',
    (s) => averagePool(s.x(1, 4, 4, 1), any({ window: 2, stride: 2, round: "ceil" })),
  ],
  [
    'UsageError: averagePool: there is no option "size"; there are window, stride, round and pad',
    (s) => averagePool(s.x(1, 4, 4, 1), any({ size: 2, stride: 2 })),
  ],
  ["ShapeError: lrn: n is 0, must be a whole number, at least 1", (s) => lrn(s.x(4, 1, 1, 1), { ...LRN, n: 0 })],
  ["ShapeError: lrn: n is -3, must be a whole number, at least 1", (s) => lrn(s.x(4, 1, 1, 1), { ...LRN, n: -3 })],
  ["ShapeError: lrn: alpha is NaN, must be a finite number", (s) => lrn(s.x(4, 1, 1, 1), { ...LRN, alpha: NaN })],
  ["UsageError: lrn: beta is undefined, must be a number", (s) => lrn(s.x(4, 1, 1, 1), any({ n: 5, k: 2, alpha: 1 }))],
  [
    "ShapeError: lrn: input 4 × 1 × 1 × 1, 3 groups, n 5: need C × H × W × N with C a multiple of the groups, and n odd",
    (s) => lrn(s.x(4, 1, 1, 1), { ...LRN, groups: 3 }),
  ],
  [
    "ShapeError: mapNorm: size is -1, must be a whole number, at least 1",
    (s) => mapNorm(s.x(1, 2, 2, 1), { size: -1, k: 1, alpha: 1, beta: 1 }),
  ],
  [
    'UsageError: mapNorm: there is no option "n"; there are size, k, alpha and beta',
    (s) => mapNorm(s.x(1, 2, 2, 1), any(LRN)),
  ],
  ["ShapeError: dropout: keep is 1, must lie between 0 and 1", (s) => dropout(s.x(2), { keep: 1, key: [1, 2] })],
  ["ShapeError: dropout: keep is NaN, must lie between 0 and 1", (s) => dropout(s.x(2), { keep: NaN, key: [1, 2] })],
  [
    'UsageError: dropout: there is no option "rate"; there are keep and key',
    (s) => dropout(s.x(2), any({ rate: 0.5, key: [1, 2] })),
  ],
  [
    "ShapeError: dropout: key[1] is undefined, must be a whole number, at least 0",
    (s) => dropout(s.x(2), any({ keep: 0.5, key: [1] })),
  ],
  [
    'UsageError: sgd: there is no option "lr"; there are rate, momentum, decay and nesterov',
    (s) => sgd(s.x(2), s.x(2), s.x(2), any({ lr: 0.1 })),
  ],
  ["ShapeError: sgd: rate is NaN, must be a finite number", (s) => sgd(s.x(2), s.x(2), s.x(2), { ...SGD, rate: NaN })],
  [
    "UsageError: sgd: momentum is undefined, must be a number",
    (s) => sgd(s.x(2), s.x(2), s.x(2), any({ rate: 0.1, decay: 0 })),
  ],
  [
    "ShapeError: sgd: weights 2, velocity 2, gradient 3: must have the same shape",
    (s) => sgd(s.x(2), s.x(2), s.x(3), SGD),
  ],
  ["ShapeError: sgd: dw is undefined, must be a Tensor", (s) => sgd(s.x(2), s.x(2), any(undefined), SGD)],
  [
    "ShapeError: augment: pixels, 1 × 2 × 2 × 3, has type f32, must be u8",
    (s) => library.augment(any(s.x(1, 2, 2, 3)), s.x(1, 32), s.x(2, 2, 3), 2),
  ],
  [
    "ShapeError: augment: crop is 0, must be a whole number, at least 1",
    (s) => library.augment(s.tape.input([1, 2, 2, 3], new Uint8Array(12)), s.x(1, 32), s.x(2, 2, 3), 0),
  ],
];

const SHAPES: readonly Refusal<Scene>[] = [
  ["ShapeError: subtract: shapes 2 × 3 and 2: must be the same", (s) => library.subtract(s.x(2, 3), s.x(2))],
  [
    "ShapeError: multiply: 2 × 3 and 1 × 3: must be of one shape, or C × H × W × N and C × 1 × 1 × N",
    (s) => library.multiply(s.x(2, 3), s.x(1, 3)),
  ],
  ["ShapeError: multiply: b is 2, must be a Tensor", (s) => library.multiply(s.x(2), any(2))],
  ["ShapeError: scale: factor is Infinity, must be a finite number", (s) => library.scale(s.x(2), 1 / 0)],
  ["ShapeError: scale: factor is a Tensor, must be a finite number", (s) => library.scale(s.x(2), any(s.x(1)))],
  ["ShapeError: sum: x is an Array, must be a Tensor", () => library.sum(any([1, 2]))],
  ["ShapeError: mean: x, 2, has type u32, must be f32", (s) => library.mean(any(s.labels(1, 2)))],
  [
    "ShapeError: meanSquaredError: shapes 2 × 3 and 3 × 2: must be the same",
    (s) => library.meanSquaredError(s.x(2, 3), s.x(3, 2)),
  ],
  [
    "ShapeError: meanSquaredError: target belongs to another tape than x; make both with this step's tape",
    (s) => library.meanSquaredError(s.x(2), s.elsewhere(2)),
  ],
  ["ShapeError: reshape: 2 × 3 to 5: 6 elements don't fill a shape of 5", (s) => library.reshape(s.x(2, 3), [5])],
  ["ShapeError: reshape: the shape is 6, must be an array of dimensions", (s) => library.reshape(s.x(2, 3), any(6))],
  [
    "ShapeError: concat: 2 × 3, 3 × 2: must have the same sides but for the first",
    (s) => library.concat([s.x(2, 3), s.x(3, 2)]),
  ],
  ["ShapeError: concat: tensor 2 is undefined, must be a Tensor", (s) => library.concat([s.x(2), any(undefined)])],
  ["ShapeError: matmul: 2 × 3 and 2 × 3: must be I × K and K × J", (s) => library.matmul(s.x(2, 3), s.x(2, 3))],
  ["ShapeError: softmax: x, 2, has type u32, must be f32", (s) => library.softmax(any(s.labels(1, 2)))],
  ["ShapeError: globalAveragePool: input 2 × 3, must be C × H × W × N", (s) => library.globalAveragePool(s.x(2, 3))],
];

const LRN = { n: 5, k: 2, alpha: 1e-4, beta: 0.75 };
const SGD = { rate: 0.1, momentum: 0.9, decay: 0 };

const LABELS: readonly Refusal<Scene>[] = [
  [ofClass(3), (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(0, 3))],
  [ofClass(4294967295), (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(-1, 0))],
  [
    ofClass(5),
    (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(0, 1), 2, { mix: { others: s.labels(5, 0), shares: s.x(2) } }),
  ],
  [
    "ShapeError: softmaxCrossEntropy: logits 3 × 2, labels 2 of type f32: need one u32 label for each of the 2 images",
    (s) => softmaxCrossEntropy(s.x(3, 2), any(s.x(2))),
  ],
  [
    "ShapeError: softmaxCrossEntropy: smoothing is 1.5, must be a finite number from 0 to 1",
    (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(0, 1), 2, { smoothing: 1.5 }),
  ],
  [
    "ShapeError: softmaxCrossEntropy: valid is 3, must be at most the number of images, 2",
    (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(0, 1), 3),
  ],
  [
    "ShapeError: softmaxCrossEntropy: valid is 0.5, must be a whole number, at least 0",
    (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(0, 1), 0.5),
  ],
  [
    'UsageError: softmaxCrossEntropy: there is no option "smooth"; did you mean "smoothing"?',
    (s) => softmaxCrossEntropy(s.x(3, 2), s.labels(0, 1), 2, any({ smooth: 0.1 })),
  ],
];

function ofClass(label: number): string {
  return `ShapeError: softmaxCrossEntropy: label ${label}, but the logits have 3 classes: labels must be 0 … 2`;
}

function refusalsOn(open: () => Backend | Promise<Backend>): void {
  let backend: Backend;
  let scene: Scene;
  beforeAll(async () => void (backend = await open()));
  beforeEach(() => void (scene = new Scene(backend)));
  afterEach(() => scene.tape.release());
  for (const refusals of [TAPE, BACKWARD, TENSORS, OPS, SHAPES, LABELS]) testRefusals(refusals, () => scene);
}

describe("the library on the reference", () => refusalsOn(openReference));
describeBackends("the library", ({ open }) => refusalsOn(open));

test("what is right is taken: a batch whose last images don't count, a step after another on one tape", async () => {
  const scene = new Scene(openReference());
  for (const valid of [2, 1, undefined]) {
    const x = scene.tape.input([3, 2], ones(6), { requiresGrad: true }).keep();
    scene.tape.backward(softmaxCrossEntropy(x, scene.labels(0, 2), valid).loss);
    expect((await x.grad!.read()).some((value) => value !== 0)).toBe(true);
  }
});

test("read() is typed by the elements, and so are arguments", async () => {
  const { tape } = new Scene(openReference());
  const floats: Float32Array = await tape.input([2], Float32Array.of(1, 2)).read();
  const labels: Uint32Array = await tape.input([2], Uint32Array.of(3, 4)).read();
  const pixels: Uint8Array = await tape.input([2], Uint8Array.of(5, 6)).read();
  expect([floats, labels, pixels]).toEqual([Float32Array.of(1, 2), Uint32Array.of(3, 4), Uint8Array.of(5, 6)]);
  const logits = tape.input([3, 2], ones(6));
  // @ts-expect-error labels are class numbers, and these are floats
  expect(() => softmaxCrossEntropy(logits, tape.input([2], ones(2)))).toThrow("labels 2 of type f32");
});
