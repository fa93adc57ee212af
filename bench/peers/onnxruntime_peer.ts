/** onnxruntime-web on its WebAssembly backend: products and forward passes. It has no gradients. */
import { onnxModel, type Graph, type Node } from "../../src/weights/export/onnx.ts";
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

interface Ort {
  readonly env: { readonly wasm: { numThreads: number } };
  readonly InferenceSession: { create(model: Uint8Array): Promise<Session> };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => object;
}

interface Session {
  run(inputs: Readonly<Record<string, object>>): Promise<Record<string, { readonly data: Float32Array }>>;
}

const ort = load<Ort>("onnxruntime-web");

async function results(job: Job): Promise<Result[]> {
  if (job.task !== "matmul" && job.task !== "step") throw new Error(`this contestant is not asked for ${job.task}`);
  ort.env.wasm.numThreads = job.threads;
  return job.task === "matmul" ? matmul(job) : step(job);
}

/**
 * The second operand is a constant of the model, like a layer's weights: onnxruntime packs it once, before the
 * measurement, which is an advantage.
 */
async function matmul({ sizes, seconds }: MatmulJob): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const size of sizes) {
    const [a, b] = [uniform(size * size), uniform(size * size)];
    const { run, output } = await open(
      {
        nodes: [{ op: "MatMul", inputs: ["a", "b"], output: "c" }],
        inputs: { a: [size, size] },
        constants: new Map([["b", { shape: [size, size], data: b }]]),
        output: "c",
      },
      a,
    );
    const samples = await measure(run, seconds);
    results.push({ name: String(size), samples, error: productError(a, b, output(), size) });
  }
  return results;
}

async function step(job: StepJob): Promise<Result[]> {
  const check = readTensors(job.check);
  const input = repeated(check.get("input")!, job.batch);
  const { run, output } = await open(network(job.model, readTensors(job.weights), input.shape), input.data);
  const samples = await measure(run, job.seconds);
  return [
    { name: "training", cannot: "onnxruntime-web has no gradients" },
    { name: "forward", samples, error: logitsError(output(), check.get("logits")!.data) },
  ];
}

async function open(graph: Graph, input: Float32Array) {
  const session = await ort.InferenceSession.create(onnxModel(graph));
  const [[name, shape] = ["", []]] = Object.entries(graph.inputs);
  const inputs = { [name]: new ort.Tensor("float32", input, shape.map(Number)) };
  let results: Awaited<ReturnType<Session["run"]>> = {};
  return {
    run: async () => void (results = await session.run(inputs)),
    output: () => results[graph.output]!.data,
  };
}

/** @param tensors a checkpoint's, in the order of the layers */
function network(model: string, tensors: ReadonlyMap<string, HostTensor>, shape: readonly number[]): Graph {
  const nodes: Node[] = [];
  const constants = new Map<string, HostTensor>();
  const weights = [...tensors].filter(([name]) => !name.startsWith("preprocessing"));
  let x = "x";
  const add = (op: string, inputs: string[], attributes: Node["attributes"] = {}) => {
    const output = `${op.toLowerCase()}${nodes.length}`;
    nodes.push({ op, inputs, output, attributes });
    return output;
  };
  /** The names of the next weight and bias. */
  const next = () =>
    weights.splice(0, 2).map(([name, tensor]) => {
      constants.set(name, tensor);
      return name;
    });
  const scalar = (name: string, value: number) => {
    constants.set(name, { shape: [1], data: new Float32Array([value]) });
    return name;
  };
  const layer = (spec: LayerSpec): string => {
    switch (spec.kind) {
      case "conv": {
        const { stride, pad, groups } = spec;
        return add("Conv", [x, ...next()], { strides: [stride, stride], pads: [pad, pad, pad, pad], group: groups });
      }
      case "fc":
        return add("Gemm", [x, ...next()], { transB: 1 });
      case "relu":
        return add("Relu", [x]);
      case "flatten":
        return add("Flatten", [x]);
      case "max-pool":
      case "average-pool": {
        const op = spec.kind === "max-pool" ? "MaxPool" : "AveragePool";
        return add(op, [x], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: spec.over ? 1 : 0 });
      }
      case "lrn":
        // ONNX divides α by the window.
        return add("LRN", [x], {
          ...{ size: 5, alpha: { float: 5 * spec.alpha }, beta: { float: 0.75 }, bias: { float: spec.k } },
        });
      case "map-norm": {
        const window = { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], count_include_pad: 1 };
        const mean = add("AveragePool", [add("Mul", [x, x])], window);
        const sum = add("Add", [add("Mul", [mean, scalar("nine_alpha", 9 * spec.alpha)]), scalar("k", spec.k)]);
        return add("Mul", [x, add("Pow", [sum, scalar("minus_beta", -0.75)])]);
      }
    }
  };
  for (const spec of nets[model] ?? []) x = layer(spec);
  return { nodes, inputs: { x: shape }, constants, output: x };
}

answer(`onnxruntime-web ${versionOf("onnxruntime-web")}`, await results(readJob()));
