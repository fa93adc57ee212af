/**
 * TensorFlow.js on its WebAssembly backend: products and forward passes, in its layout N × H × W × C. It uses one thread:
 * version 4.22 disables threads outside browsers, and even when forced its binary reports one.
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

interface Tensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface Tf {
  setBackend(name: string): Promise<boolean>;
  tensor(values: Float32Array, shape: readonly number[]): Tensor;
  tidy<T>(work: () => T): T;
  variable(x: Tensor): Tensor;
  variableGrads(loss: () => Tensor): { readonly grads: Readonly<Record<string, Tensor>> };
  matMul(a: Tensor, b: Tensor): Tensor;
  transpose(x: Tensor, order: readonly number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  split(x: Tensor, parts: number, axis: number): Tensor[];
  concat(parts: readonly Tensor[], axis: number): Tensor;
  pad(x: Tensor, by: readonly (readonly number[])[]): Tensor;
  conv2d(x: Tensor, w: Tensor, stride: number, padding: number): Tensor;
  readonly fused: {
    conv2d(what: { x: Tensor; filter: Tensor; bias: Tensor; strides: number; pad: number }): Tensor;
    matMul(what: { a: Tensor; b: Tensor; bias: Tensor }): Tensor;
  };
  add(a: Tensor, b: Tensor | number): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  pow(a: Tensor, b: Tensor | number): Tensor;
  sum(x: Tensor): Tensor;
  relu(x: Tensor): Tensor;
  softmax(x: Tensor): Tensor;
  maxPool(x: Tensor, window: number, stride: number, padding: string): Tensor;
  avgPool(x: Tensor, window: number, stride: number, padding: string): Tensor;
  localResponseNormalization(x: Tensor, reach: number, k: number, alpha: number, beta: number): Tensor;
}

const tf = load<Tf>("@tensorflow/tfjs");
load("@tensorflow/tfjs-backend-wasm");

async function results(job: Job): Promise<Result[]> {
  if (job.task !== "matmul" && job.task !== "step") throw new Error(`this contestant is not asked for ${job.task}`);
  if (!(await tf.setBackend("wasm"))) throw new Error("its WebAssembly backend does not start");
  return job.task === "matmul" ? matmul(job) : step(job);
}

/** Calls return when the result is in WebAssembly memory. */
async function matmul({ sizes, seconds }: MatmulJob): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const size of sizes) {
    const [a, b] = [uniform(size * size), uniform(size * size)];
    const [x, y] = [a, b].map((values) => tf.tensor(values, [size, size]));
    let product: Tensor | undefined;
    const run = async () => {
      product?.dispose();
      product = tf.matMul(x!, y!);
    };
    const samples = await measure(run, seconds);
    results.push({ name: String(size), samples, error: productError(a, b, await product!.data(), size) });
    for (const tensor of [x!, y!, product!]) tensor.dispose();
  }
  return results;
}

async function step(job: StepJob): Promise<Result[]> {
  const check = readTensors(job.check);
  const input = repeated(check.get("input")!, job.batch);
  const x = tf.tidy(() => tf.transpose(tf.tensor(input.data, input.shape), [0, 2, 3, 1]));
  const layers = network(job.model, readTensors(job.weights));
  const forward = () => layers.reduce((tensor, layer) => layer(tensor), x);
  let logits: Tensor | undefined;
  const run = async () => {
    logits?.dispose();
    logits = tf.tidy(() => {
      const result = forward();
      tf.softmax(result);
      return result;
    });
  };
  const samples = await measure(run, job.seconds);
  const error = logitsError(await logits!.data(), check.get("logits")!.data);
  return [
    { name: "training", cannot: whyNoTraining() },
    { name: "forward", samples, error },
  ];
}

/** It has gradients, but not all of their kernels: trying a convolution's gradient shows which one is missing. */
function whyNoTraining(): string {
  const x = tf.tensor(new Float32Array(75), [1, 5, 5, 3]);
  const w = tf.variable(tf.tensor(new Float32Array(81), [3, 3, 3, 3]));
  try {
    tf.variableGrads(() => tf.sum(tf.conv2d(x, w, 1, 0)));
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
  throw new Error("TensorFlow.js can now train on wasm: add training to this contestant");
}

/** @param tensors a checkpoint's, in the order of the layers: filters O × I × H × W, weights O × I */
function network(model: string, tensors: ReadonlyMap<string, HostTensor>): ((x: Tensor) => Tensor)[] {
  const parameters = [...tensors].filter(([name]) => !name.startsWith("preprocessing")).map(([, tensor]) => tensor);
  /** The next tensor, with its axes permuted. */
  const next = (order?: readonly number[]) => {
    const { data, shape } = parameters.shift()!;
    return order ? tf.tidy(() => tf.transpose(tf.tensor(data, shape), order)) : tf.tensor(data, shape);
  };
  const layer = (spec: LayerSpec): ((x: Tensor) => Tensor) => {
    switch (spec.kind) {
      case "conv": {
        const { stride, pad, groups } = spec;
        const [filters, bias] = [next([2, 3, 1, 0]), next()];
        if (groups === 1) return (x) => tf.fused.conv2d({ x, filter: filters, bias, strides: stride, pad });
        // It has no grouped convolution.
        const halves = tf
          .split(filters, groups, 3)
          .map((filter, g) => ({ filter, bias: tf.split(bias, groups, 0)[g]! }));
        return (x) => {
          const parts = tf.split(x, groups, 3);
          const results = parts.map((part, g) => tf.fused.conv2d({ x: part, ...halves[g]!, strides: stride, pad }));
          return tf.concat(results, 3);
        };
      }
      case "fc": {
        const [weights, bias] = [next([1, 0]), next()];
        return (a) => tf.fused.matMul({ a, b: weights, bias });
      }
      case "relu":
        return tf.relu;
      case "flatten":
        // The weights expect channels first.
        return (x) => {
          const first = tf.transpose(x, [0, 3, 1, 2]);
          const [images = 1, ...rest] = (first as Tensor & { shape: number[] }).shape;
          return tf.reshape(first, [images, rest.reduce((a, b) => a * b, 1)]);
        };
      // "same" lets the last window extend past the far edge of the even sides of these layers' inputs.
      case "max-pool":
        return (x) => tf.maxPool(x, 3, 2, spec.over ? "same" : "valid");
      case "average-pool":
        return (x) => tf.avgPool(x, 3, 2, spec.over ? "same" : "valid");
      case "lrn":
        return (x) => tf.localResponseNormalization(x, 2, spec.k, spec.alpha, 0.75);
      case "map-norm":
        return (x) => {
          const around = [
            [0, 0],
            [1, 1],
            [1, 1],
            [0, 0],
          ];
          const mean = tf.avgPool(tf.pad(tf.mul(x, x), around), 3, 1, "valid");
          return tf.mul(x, tf.pow(tf.add(tf.mul(mean, 9 * spec.alpha), spec.k), -0.75));
        };
    }
  };
  return (nets[model] ?? []).map(layer);
}

answer(`TensorFlow.js ${versionOf("@tensorflow/tfjs")} wasm`, await results(readJob()));
