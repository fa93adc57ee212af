import { beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../src/engine/backend.ts";
import { relu, tanh } from "../../src/engine/ops/activation.ts";
import { conv2d } from "../../src/engine/ops/conv2d.ts";
import { dropout } from "../../src/engine/ops/dropout.ts";
import { add } from "../../src/engine/ops/later/add.ts";
import { linear } from "../../src/engine/ops/linear.ts";
import { lrn } from "../../src/engine/ops/lrn.ts";
import { maxPool } from "../../src/engine/ops/pool.ts";
import { sgd } from "../../src/engine/ops/sgd.ts";
import { softmaxCrossEntropy } from "../../src/engine/ops/softmax_cross_entropy.ts";
import { Parameter } from "../../src/engine/parameter.ts";
import { openReference } from "../../src/engine/reference.ts";
import { pieces, Tape } from "../../src/engine/tape.ts";
import type { Tensor } from "../../src/engine/tensor.ts";
import { ShapeError } from "../../src/errors.ts";
import { describeBackends } from "../support/backends.ts";
import { randomArray } from "../support/data.ts";
import { seedGradient, testOp } from "../support/gradcheck.ts";
import { watched } from "../support/watched.ts";

const GIVEN_BACK = "was used after its memory was released";
const ones = (length: number) => new Float32Array(length).fill(1);

function parameter(backend: Backend, name: string, shape: readonly number[], seed: number): Parameter {
  const made = new Parameter(backend, name, shape);
  backend.write(made.buffer, randomArray(shape, seed));
  return made;
}

// Sums of three products, three deep.
testOp(
  "gradients that meet",
  [
    {
      title: "one op reads a tensor twice",
      inputs: { x: [3, 3], b: [3] },
      op: ({ x, b }) => linear(x!, x!, b!),
    },
    {
      title: "two ops read one tensor",
      inputs: { x: [3, 3], w: [3, 3], b: [3] },
      op: ({ x, w, b }) => {
        const h = linear(x!, w!, b!);
        return linear(tanh(h), h, b!);
      },
    },
    {
      title: "three ops read one tensor",
      inputs: { x: [3, 3], b: [3] },
      op: ({ x, b }) => linear(linear(tanh(x!), x!, b!), tanh(x!), b!),
    },
  ],
  2e-6,
);

test("a gradient that was computed elsewhere, over two tapes, is that of one", async () => {
  const backend = openReference();
  const values = randomArray([2, 3], 1);
  const w = parameter(backend, "w", [4, 2], 2);
  const b = parameter(backend, "b", [4], 3);
  const labels = Uint32Array.of(0, 3, 1);
  const gradientOf = async (isCut: boolean) => {
    const [first, second] = [new Tape(backend), new Tape(backend)];
    const h = tanh(linear(first.input([2, 3], values), w, b));
    const again = isCut ? second.input([4, 3], await h.read(), { requiresGrad: true }).keep() : h;
    const tape = isCut ? second : first;
    const { loss } = softmaxCrossEntropy(again, tape.input([3], labels), 3);
    tape.backward(loss);
    if (isCut) first.backward(h, { gradient: first.input([4, 3], await again.grad!.read()) });
    const gradient = await w.grad!.read();
    for (const each of [w, b]) each.grad = undefined;
    return [...gradient];
  };
  const [cut, whole] = [await gradientOf(true), await gradientOf(false)];
  expect(cut.some((value) => Math.abs(value) > 0.01)).toBe(true);
  for (const [i, value] of cut.entries()) expect(value).toBeCloseTo(whole[i]!, 6);
  const tape = new Tape(backend);
  const h = tanh(linear(tape.input([2, 3], values), w, b));
  expect(() => tape.backward(h, { gradient: tape.input([3, 4], ones(12)) })).toThrow(
    "backward: gradient 3 × 4 for a tensor of shape 4 × 3",
  );
});

test("masks of the blocks of a layer's features are those of the whole", async () => {
  const backend = openReference();
  const masks = async (rows: number, part: { readonly block: number } | undefined) => {
    const tape = new Tape(backend, part && { part });
    const y = dropout(tape.input([rows, 5], ones(rows * 5)), { keep: 0.5, key: [1, 2] });
    return [...(await y.read())];
  };
  const whole = await masks(8, undefined);
  expect([...(await masks(4, { block: 0 })), ...(await masks(4, { block: 1 }))]).toEqual(whole);
});

describe("memory", () => {
  /** y = relu(h), h = relu(x): what remains of them after backward() */
  const chain = (prepare: (h: Tensor) => void = () => {}) => {
    const tape = new Tape(openReference());
    const x = tape.input([2], Float32Array.of(1, -1), { requiresGrad: true });
    const h = relu(x);
    prepare(h);
    const y = relu(h);
    tape.backward(seedGradient(y, ones(2)));
    return { tape, x, h, y };
  };

  test("backward gives back what lies between, and says so when it is used", () => {
    const { h, y } = chain();
    for (const tensor of [h, y]) {
      expect(() => tensor.buffer).toThrow(ShapeError);
      expect(() => tensor.buffer).toThrow(`a tensor of shape 2 ${GIVEN_BACK}`);
      expect(() => relu(tensor)).toThrow("call keep() on tensors to be read afterwards");
      expect(tensor.grad).toBeUndefined();
    }
  });

  test("inputs and kept tensors can be read with their gradients, until the tape is released", async () => {
    const { tape, x, h } = chain((tensor) => tensor.keep());
    expect(await h.read()).toEqual(Float32Array.of(1, 0));
    expect(await h.grad!.read()).toEqual(Float32Array.of(1, 0));
    expect(await x.grad!.read()).toEqual(Float32Array.of(1, 0));
    tape.release();
    for (const tensor of [x, h, x.grad!, h.grad!]) expect(() => tensor.buffer).toThrow(GIVEN_BACK);
  });

  test("without recording nothing needs a gradient and nothing is given back before release", async () => {
    const backend = openReference();
    const tape = new Tape(backend, { record: false });
    const w = parameter(backend, "w", [2, 2], 1);
    const h = linear(tape.input([2, 1], ones(2)), w, parameter(backend, "b", [2], 2));
    const y = relu(h);
    expect(y.requiresGrad).toBe(false);
    expect(() => tape.backward(softmaxCrossEntropy(y, tape.input([1], new Uint32Array(1))).loss)).toThrow(
      "depends on no tensor that requires a gradient",
    );
    expect((await h.read()).length).toBe(2);
    expect(w.grad).toBeUndefined();
    tape.release();
    expect(() => h.buffer).toThrow(GIVEN_BACK);
  });

  test("what the forward pass is done with is given back, unless backward reads it or it is kept", async () => {
    const tape = new Tape(openReference());
    const x = tape.input([2], Float32Array.of(1, -1), { requiresGrad: true });
    const [twice, kept] = [add(x, x), add(x, x).keep()];
    const sum = add(twice, kept);
    const y = relu(sum);
    for (const tensor of [twice, kept, sum]) tape.done(tensor);
    expect([twice, kept, sum].map(({ isReleased }) => isReleased)).toEqual([true, false, false]);
    tape.backward(seedGradient(y, ones(2)));
    expect(await x.grad!.read()).toEqual(Float32Array.of(4, 0));
  });

  test("without recording nothing is saved for backward", () => {
    const backend = openReference();
    const tape = new Tape(backend, { record: false });
    const { bytes } = backend.statistics();
    const x = tape.input([1, 2, 2, 1], ones(4));
    for (let i = 0; i < 3; i++) tape.done(maxPool(x, { window: 1, stride: 1 }));
    expect(backend.statistics().bytes - bytes).toBe(4 * (4 + 4 + 4));
  });

  test("no gradient is computed where none is wanted", () => {
    const { backend, kernels } = watched(openReference());
    const tape = new Tape(backend);
    const image = tape.input([1, 3, 3, 1], ones(9));
    const y = conv2d(image, parameter(backend, "w", [1, 1, 3, 3], 1), parameter(backend, "b", [1], 2));
    tape.backward(seedGradient(y, ones(1)));
    expect(kernels).toEqual(["conv2d_forward", "conv2d_backward_w", "row_sum"]);
    expect(image.grad).toBeUndefined();
  });
});

describe("parameters", () => {
  const step = (backend: Backend, w: Parameter, b: Parameter) => {
    const tape = new Tape(backend);
    tape.backward(seedGradient(linear(tape.input([2, 1], Float32Array.of(3, 5)), w, b), ones(1)));
    tape.release();
  };

  test("keep their gradient after release, and add to it until it is cleared", async () => {
    const backend = openReference();
    const [w, b] = [parameter(backend, "w", [1, 2], 1), parameter(backend, "b", [1], 2)];
    step(backend, w, b);
    expect(await w.grad!.read()).toEqual(Float32Array.of(3, 5));
    step(backend, w, b);
    expect(await w.grad!.read()).toEqual(Float32Array.of(6, 10));
    expect(await b.grad!.read()).toEqual(Float32Array.of(2));
    w.grad = undefined;
    step(backend, w, b);
    expect(await w.grad!.read()).toEqual(Float32Array.of(3, 5));
    expect(await b.grad!.read()).toEqual(Float32Array.of(3));
  });

  test("give back all memory when freed", () => {
    const backend = openReference();
    const [w, b] = [parameter(backend, "w", [1, 2], 1), parameter(backend, "b", [1], 2)];
    const before = backend.statistics().buffers;
    step(backend, w, b);
    const pooled = backend.statistics().buffers - before - 2; // two gradients
    w.free();
    b.free();
    expect(backend.statistics().buffers).toBe(pooled);
    expect(() => w.buffer).toThrow(GIVEN_BACK);
  });
});

/** A small net with every kind of op: one training step. */
function trainer(backend: Backend) {
  const shapes = { "conv.weight": [4, 1, 3, 3], "conv.bias": [4], "fc.weight": [3, 16], "fc.bias": [3] };
  const parameters = Object.entries(shapes).map(([name, shape], i) => parameter(backend, name, shape, i));
  const velocities = parameters.map(({ shape, name }) => parameter(backend, name, shape, 50));
  const [convW, convB, fcW, fcB] = parameters as [Parameter, Parameter, Parameter, Parameter];
  return async (step: number) => {
    const tape = new Tape(backend);
    const x = tape.input([2, 6, 6, 5], randomArray([2, 6, 6, 5], 7));
    const maps = maxPool(relu(conv2d(x, convW, convB, { groups: 2 })), { window: 2, stride: 2 });
    const features = dropout(lrn(maps, { n: 3, k: 2, alpha: 0.1, beta: 0.75 }), { keep: 0.5, key: [1, step] });
    const { loss } = softmaxCrossEntropy(linear(features, fcW, fcB), tape.input([5], Uint32Array.of(0, 1, 2, 0, 1)));
    tape.backward(loss);
    for (const [i, w] of parameters.entries()) {
      sgd(w, velocities[i]!, w.grad!, { rate: 0.1, momentum: 0.9, decay: 0.0005 });
      w.grad = undefined;
    }
    const value = (await loss.read())[0]!;
    tape.release();
    return value;
  };
}

describeBackends("training", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  test("holds as many buffers after step 12 as after step 2, and the same losses as the plain loops", async () => {
    const [run, reference] = [trainer(backend), trainer(openReference("f64"))];
    let early: unknown;
    for (let step = 1; step <= 12; step++) {
      const [actual, expected] = [await run(step), await reference(step)];
      // Float32 against float64; differences grow from step to step.
      expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-4);
      if (step === 2) early = backend.statistics();
    }
    expect(backend.statistics()).toEqual(early as ReturnType<Backend["statistics"]>);
  });

  test("the same bytes twice", async () => {
    const twice = [trainer(backend), trainer(backend)];
    for (let step = 1; step <= 5; step++) expect(await twice[0]!(step)).toBe(await twice[1]!(step));
  });
});

describe("refusals", () => {
  const tape = new Tape(openReference());

  test("contents of another size than the shape", () => {
    expect(() => tape.input([2, 3], ones(5))).toThrow("5 elements for shape 2 × 3, which has 6");
  });

  test("a loss that is not a scalar", () => {
    const x = tape.input([2], ones(2), { requiresGrad: true });
    expect(() => tape.backward(relu(x))).toThrow("the loss has shape 2, must be a scalar");
  });

  test("an op on tensors that no tape owns", () => {
    expect(() => relu(parameter(openReference(), "w", [2], 1))).toThrow("at least one input made by tape.input()");
  });

  test("a device whose bindings don't hold one row", () => {
    const limits = { ...tape.backend.limits, bindingBytes: 1024, viewAlignment: 256 };
    const narrow = new Tape({ ...openReference(), limits }).input([1000], ones(1000));
    expect(pieces(narrow)).toEqual([[0, 256], [256, 256], [512, 256], [768, 232]]); // prettier-ignore
    expect(() => pieces(narrow, 500)).toThrow("this device binds at most 1024");
  });
});
