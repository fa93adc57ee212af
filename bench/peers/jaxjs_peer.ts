/**
 * jax-js on its WebAssembly backend: products, forward passes under jit, and training. It uses as many workers as the
 * machine has cores; here it is shown a different number. Operations consume their operands; `ref` keeps one for reuse.
 */
import {
  answer,
  load,
  logitsError,
  measure,
  productError,
  readJob,
  readTensors,
  repeated,
  uniform,
  versionOf,
  type HostTensor,
} from "./contestant.ts";
import type { Job, MatmulJob, Measured, Result, StepJob } from "./job.ts";
import { nets, type LayerSpec } from "./nets.ts";

interface Arr {
  readonly ref: Arr;
  readonly shape: number[];
  add(other: Arr | number): Arr;
  mul(other: Arr | number): Arr;
  div(other: Arr | number): Arr;
  slice(...ranges: (readonly [] | readonly [number, number])[]): Arr;
  reshape(shape: readonly number[]): Arr;
  transpose(): Arr;
  data(): Promise<Float32Array>;
  blockUntilReady(): Promise<Arr>;
  dispose(): void;
}

type Sides = readonly (readonly [number, number])[];

interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): void;
  blockUntilReady(arrays: readonly Arr[]): Promise<unknown>;
  jit<A extends unknown[], R>(f: (...inputs: A) => R): (...inputs: A) => R;
  valueAndGrad(f: (parameters: Arr[], x: Arr, y: Arr) => Arr): (parameters: Arr[], x: Arr, y: Arr) => [Arr, Arr[]];
  readonly numpy: {
    array(values: Float32Array, options: { shape: readonly number[] }): Arr;
    matmul(a: Arr, b: Arr): Arr;
    max(x: Arr): Arr;
    sum(x: Arr): Arr;
    power(x: Arr, exponent: number): Arr;
    pad(x: Arr, by: Sides): Arr;
  };
  readonly lax: {
    convGeneralDilated(x: Arr, w: Arr, strides: number[], pad: Sides, options: { featureGroupCount: number }): Arr;
    reduceWindow(x: Arr, reduce: (window: Arr) => Arr, window: number[], strides: number[]): Arr;
  };
  readonly nn: { relu(x: Arr): Arr; softmax(x: Arr): Arr; logSoftmax(x: Arr): Arr };
}

const job = readJob();
if (job.task !== "parameters") {
  Object.defineProperty(navigator, "hardwareConcurrency", { value: job.threads, configurable: true });
}
const jax = load<Jax>("@jax-js/jax");
const { numpy: np, lax, nn } = jax;

async function results(job: Job): Promise<Result[]> {
  if (job.task !== "matmul" && job.task !== "step") throw new Error(`this contestant is not asked for ${job.task}`);
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  return job.task === "matmul" ? matmul(job) : step(job);
}

async function matmul({ sizes, seconds }: MatmulJob): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const size of sizes) {
    const [a, b] = [uniform(size * size), uniform(size * size)];
    const [x, y] = [a, b].map((values) => np.array(values, { shape: [size, size] }));
    await jax.blockUntilReady([x!.ref, y!.ref]);
    let product: Arr | undefined;
    const run = async () => {
      product?.dispose();
      product = np.matmul(x!.ref, y!.ref);
      await product.blockUntilReady();
    };
    const samples = await measure(run, seconds);
    results.push({ name: String(size), samples, error: productError(a, b, await product!.data(), size) });
    for (const array of [x!, y!]) array.dispose();
  }
  return results;
}

/** A batch is not tried if it would take longer than this, judging by one image. */
const LONGEST_PASS_SECONDS = 40;

async function step(job: StepJob): Promise<Result[]> {
  const check = readTensors(job.check);
  const [images, logits] = [check.get("input")!, check.get("logits")!];
  const tensors = [...readTensors(job.weights)].filter(([name]) => !name.startsWith("preprocessing"));
  const parameters = tensors.map(([, { data, shape }]) => np.array(data, { shape }));
  const one = await forwardPass(job.model, parameters, repeated(images, 1));
  await one.run(); // compiles
  const start = performance.now();
  await one.run();
  const seconds = (performance.now() - start) / 1000;
  if (seconds * job.batch > LONGEST_PASS_SECONDS) {
    const cannot = `one image takes ${seconds.toFixed(1)} s forward: ${job.batch} were not tried`;
    return ["training", "forward"].map((name) => ({ name, cannot }));
  }
  const { run, logits: computed } = await forwardPass(job.model, parameters, repeated(images, job.batch));
  const samples = await measure(run, job.seconds);
  const error = logitsError(await computed(), logits.data);
  return [await training(job, parameters, images, logits), { name: "forward", samples, error }];
}

async function forwardPass(model: string, parameters: readonly Arr[], { data, shape }: HostTensor) {
  const x = np.array(data, { shape });
  const pass = jax.jit((parameters: Arr[], x: Arr) => {
    const logits = network(model, parameters, x);
    return [logits.ref, nn.softmax(logits)];
  });
  let logits: Arr | undefined;
  return {
    async run() {
      logits?.dispose();
      const [result, probabilities] = pass(
        parameters.map(({ ref }) => ref),
        x.ref,
      );
      logits = result!;
      await probabilities!.blockUntilReady();
      probabilities!.dispose();
    },
    logits: () => logits!.data(),
  };
}

async function training(job: StepJob, initial: Arr[], images: HostTensor, logits: HostTensor): Promise<Result> {
  const { model, batch, rate, momentum, decay } = job;
  if (job.model !== "cifar10-18pct") return { name: "training", cannot: "no dropout is written for it here" };
  const classes = logits.shape[1]!;
  const { data, shape } = repeated(images, batch);
  const x = np.array(data, { shape });
  const right = new Float32Array(batch * classes);
  for (let n = 0; n < batch; n++) right[n * classes + (n % classes)] = 1;
  const labels = np.array(right, { shape: [batch, classes] });
  const lossOf = (parameters: Arr[], x: Arr, y: Arr) =>
    np.sum(nn.logSoftmax(network(model, parameters, x)).mul(y)).mul(-1 / batch);
  // Without jit: with it, version 0.1.25 computes NaN gradients for this network.
  const update = (parameters: Arr[], velocities: Arr[], x: Arr, y: Arr) => {
    const [loss, gradients] = jax.valueAndGrad(lossOf)(
      parameters.map(({ ref }) => ref),
      x,
      y,
    );
    const moved = gradients.map((gradient, i) => {
      const slope = gradient.add(parameters[i]!.ref.mul(decay)).mul(-rate);
      return velocities[i]!.mul(momentum).add(slope);
    });
    return { loss, velocities: moved.map(({ ref }) => ref), parameters: moved.map((v, i) => v.add(parameters[i]!)) };
  };
  let parameters = initial;
  let velocities = initial.map(({ shape }) => {
    return np.array(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape });
  });
  const losses: number[] = [];
  const samples = await measure(async () => {
    const next = update(parameters, velocities, x.ref, labels.ref);
    ({ parameters, velocities } = next);
    await jax.blockUntilReady(parameters.map(({ ref }) => ref));
    losses.push((await next.loss.data())[0]!);
  }, job.seconds);
  return { name: "training", samples, losses };
}

/** @param parameters in the order of the layers; consumed */
function network(model: string, parameters: readonly Arr[], x: Arr): Arr {
  const rest = [...parameters];
  for (const spec of nets[model] ?? []) x = layer(spec, x, () => rest.shift()!);
  return x;
}

const ALL = [] as const;

function layer(spec: LayerSpec, x: Arr, next: () => Arr): Arr {
  switch (spec.kind) {
    case "conv": {
      const { stride, pad, groups } = spec;
      const [w, b] = [next(), next()];
      const around = [
        [pad, pad],
        [pad, pad],
      ] as const;
      const y = lax.convGeneralDilated(x, w, [stride, stride], around, { featureGroupCount: groups });
      return y.add(b.reshape([1, b.shape[0]!, 1, 1]));
    }
    case "fc": {
      const [w, b] = [next(), next()];
      return np.matmul(x, w.transpose()).add(b);
    }
    case "relu":
      return nn.relu(x);
    case "flatten": {
      const [images = 1, ...sides] = x.shape;
      return x.reshape([images, sides.reduce((a, b) => a * b, 1)]);
    }
    case "max-pool":
      // It pads with zeros. Where the window extends past the edge, a ReLU follows, so zeros make no difference.
      return lax.reduceWindow(spec.over ? padded(x, 0, 1) : x, np.max, [3, 3], [2, 2]);
    case "average-pool": {
      const [, , height = 1, width = 1] = x.shape;
      const sum = lax.reduceWindow(padded(x, 0, 1), np.sum, [3, 3], [2, 2]);
      return sum.mul(oneOverInside(height, width));
    }
    case "lrn": {
      const maps = x.shape[1]!;
      const squares = np.pad(x.ref.mul(x.ref), [
        [0, 0],
        [2, 2],
        [0, 0],
        [0, 0],
      ]);
      let sum = squares.ref.slice(ALL, [0, maps]);
      for (let i = 1; i < 5; i++) sum = sum.add(squares.ref.slice(ALL, [i, i + maps]));
      squares.dispose();
      return x.mul(np.power(sum.mul(spec.alpha).add(spec.k), -0.75));
    }
    case "map-norm": {
      const sum = lax.reduceWindow(padded(x.ref.mul(x.ref), 1, 1), np.sum, [3, 3], [1, 1]);
      return x.mul(np.power(sum.mul(spec.alpha).add(spec.k), -0.75));
    }
  }
}

function padded(x: Arr, before: number, behind: number): Arr {
  const side = [before, behind] as const;
  return np.pad(x, [[0, 0], [0, 0], side, side]);
}

/** 1 / the number of pixels of each 3 × 3 window, stride 2, inside an image with even sides. */
function oneOverInside(height: number, width: number): Arr {
  const inside = (position: number, side: number) => (2 * position + 3 > side ? 2 : 3);
  const [rows, columns] = [height / 2, width / 2];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => {
    return 1 / (inside(Math.floor(i / columns), height) * inside(i % columns, width));
  });
  return np.array(values, { shape: [1, 1, rows, columns] });
}

answer(`jax-js ${versionOf("@jax-js/jax")} wasm`, await results(job));
