/**
 * Whole networks against PyTorch: make_golden.py wrote what it makes of them in float64, from images, weights and
 * dropout masks that both sides compute from Threefry-2x32. Logits and loss as in a test; the gradients of all
 * parameters in the first training step; the losses of up to ten training steps, dropout and SGD included.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../src/engine/backend.ts";
import { softmaxCrossEntropy } from "../../src/engine/ops/softmax_cross_entropy.ts";
import { poolOf } from "../../src/engine/pool.ts";
import { Tape } from "../../src/engine/tape.ts";
import { Model } from "../../src/net/model.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { Sgd } from "../../src/net/sgd.ts";
import { Purpose, Random, streamKey } from "../../src/random.ts";
import { describeBackends, type TestBackend } from "../support/backends.ts";
import { compareDigest, distance, expectWithin, signed, type Digest } from "../support/golden_numbers.ts";
import alexnet from "./alexnet.json";
import alexnet2012 from "./alexnet-2012.json";
import alexnetOwt from "./alexnet-owt.json";

interface Golden {
  readonly config: {
    readonly side: number;
    readonly pixels: number;
    readonly gain: number;
    readonly rate: number;
    readonly bias_rate: number;
    readonly bias_decay: number;
    readonly seed: number;
    readonly batch: number;
    readonly classes: number;
    readonly labels: readonly number[];
    readonly momentum: number;
    readonly decay: number;
  };
  readonly logits: readonly number[];
  readonly loss: number;
  readonly losses: readonly number[];
  readonly gradients: Readonly<Record<string, Digest>>;
}

/**
 * Relative errors allowed. PyTorch in float32 strays from its float64 by 8e-7 (logits), 3e-8 (loss), 8e-6 (norms of
 * gradients). Of 64 samples of a gradient the distance is 1e-6, but 4e-4 in conv1 once a maximum of overlapping windows
 * is decided by the last bit and sends its gradient to another pixel. Such a turn also makes the losses part: by 1e-7
 * in the first step, 2e-6 in the fourth, 5e-5 in the tenth.
 */
const TOLERANCE = { logits: 5e-6, loss: 1e-6, losses: (step: number) => 2e-6 * 2 ** step, norm: 5e-5, samples: 2e-3 };

/**
 * Half precision rounds by up to 2⁻¹¹ = 5e-4 after each layer. Among so few different numbers, other pixels are the
 * largest of their windows more often: conv1's gradients, behind the first pooling, are 0.13 away, and that of its biases
 * is 0.014 longer.
 */
const HALF_TOLERANCE = { ...TOLERANCE, logits: 1e-2, loss: 1e-2, norm: 2e-2, samples: 0.2 };

/** Winograd's minimal filtering adds up larger numbers than the direct form. */
const WINOGRAD_LOGITS = 5e-5;

/**
 * Steps of each network. What is a network's own shows in the first, what is the optimiser's, momentum too, in the third
 * of any. WebAssembly without a BLAS takes seconds for one; a software GPU takes a quarter of a minute, and its momentum
 * is seen in the steps of test/training/agree.test.ts.
 */
const STEPS = { alexnet: 10, "alexnet-2012": 3, "alexnet-owt": 3 };
const STEPS_IF_SLOW = { alexnet: 3, "alexnet-2012": 1, "alexnet-owt": 1 };
const TIMEOUT_MS = 900_000;

async function stepsOf(name: keyof typeof STEPS, device: TestBackend["name"]): Promise<number> {
  if (device !== "wgpu") return (device === "cpu" ? STEPS_IF_SLOW : STEPS)[name];
  const { listAdapters } = await import("../../src/devices/wgpu/backend.ts");
  return (await listAdapters())[0]?.kind === "software" ? 1 : STEPS[name];
}

/** What `parameters` in make_golden.py draws. */
function drawParameters(model: Model, { gain, seed }: Golden["config"]): Float32Array[] {
  return model.parameters.map((parameter, i) => {
    const inputs = parameter.size / parameter.shape[0]!;
    const isBias = model.specs[i]!.role === "bias";
    const bound = isBias ? 1 : Math.sqrt(6 / inputs) * (i >= 4 ? gain : 1);
    return signed(parameter.size, bound, new Random(seed, Purpose.weights, i));
  });
}

/** An array whose last axis is the images, with all images `times` over. */
function repeat<T extends Float32Array | Float64Array | Uint32Array>(array: T, images: number, times: number): T {
  const repeated = new (array.constructor as new (length: number) => T)(array.length * times);
  for (let i = 0; i < repeated.length; i++) {
    const pixel = Math.floor(i / (images * times));
    repeated[i] = array[pixel * images + (i % images)]!;
  }
  return repeated;
}

/** @param drawn the parameters, once they were drawn for another device */
function testNetwork(
  name: keyof typeof STEPS,
  golden: Golden,
  { name: device, open }: TestBackend,
  drawn: { parameters?: Float32Array[] },
): void {
  const { side, pixels, seed, batch, classes, labels, rate } = golden.config;
  let backend: Backend;
  let model: Model;
  let x: Float32Array;

  /** The logits and the loss of the batch, `times` over; a step trains with dropout, none tests. */
  const forward = (tape: Tape, { step, times = 1 }: { step?: number; times?: number } = {}) => {
    const images = batch * times;
    const values = repeat(x, batch, times);
    const input = tape.input([3, side, side, images], model.half ? Float16Array.from(values) : values);
    const logits = model.forward(input, {
      training: step !== undefined,
      dropoutKey: (layer) => streamKey(seed, Purpose.dropout, step, layer),
    });
    return {
      logits,
      ...softmaxCrossEntropy(logits, tape.input([images], repeat(Uint32Array.from(labels), batch, times))),
    };
  };

  beforeAll(async () => {
    backend = await open();
    model = new Model(findNetwork(name), backend, classes);
    drawn.parameters ??= drawParameters(model, golden.config);
    for (const [i, { buffer }] of model.parameters.entries()) backend.write(buffer, drawn.parameters[i]!);
    x = signed(3 * side * side * batch, pixels, new Random(seed, Purpose.drawing));
  }, TIMEOUT_MS);

  const logitsAndLoss = async () => {
    const tape = new Tape(backend, { record: false });
    const { logits, loss } = forward(tape);
    const actual = await logits.read();
    expect(actual.length).toBe(golden.logits.length);
    expectWithin("logits", distance(actual, golden.logits), TOLERANCE.logits);
    expectWithin("loss", Math.abs((await loss.read())[0]! / golden.loss - 1), TOLERANCE.loss);
    tape.release();
  };

  /** Images enough for the kernels that a batch of four is too small for. */
  const largerBatch = async () => {
    const [tape, times] = [new Tape(backend, { record: false }), 4];
    const { logits, loss } = forward(tape, { times });
    const expected = repeat(Float64Array.from(golden.logits), batch, times);
    expectWithin("logits", distance(await logits.read(), [...expected]), WINOGRAD_LOGITS);
    expectWithin("loss", Math.abs((await loss.read())[0]! / golden.loss - 1), TOLERANCE.loss);
    tape.release();
    poolOf(backend).trim();
  };

  const training = async () => {
    const { momentum, decay, bias_rate: biasRate, bias_decay } = golden.config;
    const optimiser = new Sgd(model, { momentum, decay, biasRate, biasDecay: bias_decay === 1 });
    const steps = await stepsOf(name, device);
    for (const [step, expected] of golden.losses.slice(0, steps).entries()) {
      const tape = new Tape(backend);
      const { loss } = forward(tape, { step });
      tape.backward(loss);
      if (step === 0) await compareGradients(model, golden);
      optimiser.step(() => rate);
      const actual = (await loss.read())[0]!;
      tape.release();
      const error = Math.abs(actual / expected - 1);
      expectWithin(`loss of step ${step} is ${actual}, expected ${expected}`, error, TOLERANCE.losses(step));
    }
    optimiser.free();
    model.free();
    poolOf(backend).trim();
  };

  /** As `--precision half` trains, with its factor of the loss. */
  const halfPrecision = async () => {
    model.half = true;
    const testing = new Tape(backend, { record: false });
    const { logits } = forward(testing);
    expect(logits.stored).toBe("f16");
    expectWithin("logits", distance(await logits.read(), golden.logits), HALF_TOLERANCE.logits);
    testing.release();
    const { lossScale } = model;
    const tape = new Tape(backend);
    const { loss } = forward(tape, { step: 0 });
    tape.backward(loss, { weight: lossScale });
    expectWithin("loss", Math.abs((await loss.read())[0]! / golden.losses[0]! - 1), HALF_TOLERANCE.loss);
    for (const { grad } of model.parameters) {
      const values = (await grad!.read()).map((value) => value / lossScale);
      backend.write(grad!.buffer, values);
    }
    await compareGradients(model, golden, HALF_TOLERANCE);
    tape.release();
    model.half = false;
    model.free();
    poolOf(backend).trim();
  };

  if (device === "wgpu-half") {
    test("gradients of the first step in half precision", halfPrecision, TIMEOUT_MS);
    return;
  }
  test("logits and loss", logitsAndLoss, TIMEOUT_MS);
  // A software GPU has no other kernels for more images.
  if (device !== "wgpu") test("logits and loss of the batch four times over", largerBatch, TIMEOUT_MS);
  test("gradients of the first step, losses of the next", training, TIMEOUT_MS);
}

async function compareGradients(
  model: Model,
  { gradients, config: { seed } }: Golden,
  tolerance = TOLERANCE,
): Promise<void> {
  expect(model.parameters.map((parameter) => parameter.name)).toEqual(Object.keys(gradients));
  for (const [i, parameter] of model.parameters.entries()) {
    const how = { seed, index: i, tolerance };
    compareDigest(`the gradient of ${parameter.name}`, await parameter.grad!.read(), gradients[parameter.name]!, how);
  }
}

const networks = [
  ["alexnet", alexnet],
  ["alexnet-2012", alexnet2012],
  ["alexnet-owt", alexnetOwt],
] as const;
for (const [name, golden] of networks) {
  const drawn: { parameters?: Float32Array[] } = {};
  describe(name, () => {
    afterAll(() => void (drawn.parameters = undefined));
    const tests = (backend: TestBackend) => testNetwork(name, golden, backend, drawn);
    describeBackends("PyTorch's results", tests);
    // A pass takes a software GPU long.
    if (name === "alexnet") describeBackends("PyTorch's results", tests, ["wgpu-half"]);
  });
}
