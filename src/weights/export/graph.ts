/**
 * A network as an ONNX graph, N × 3 × crop × crop pixels in, classes out; N may be anything. The mean image is
 * subtracted in the graph, dropout does nothing in use, and what ONNX lacks is put together from what it has.
 */
import { CheckpointError } from "../../errors.ts";
import type { Layer } from "../../net/layers.ts";
import type { PlacedLayer } from "../../net/model.ts";
import type { Constant, Graph, Node } from "./onnx.ts";

export interface GraphOptions {
  readonly layers: readonly PlacedLayer[];
  /** The numbers of a parameter. */
  readonly parameter: (name: string, shape: readonly number[]) => Float32Array;
  /** 3 × crop × crop. */
  readonly mean: Float32Array;
  /** Whether the output is that of the last layer; else it is softmax of it. */
  readonly logits: boolean;
}

export const INPUT = "image";

export function networkGraph({ layers, parameter, mean, logits }: GraphOptions): Graph {
  const builder = new Builder(parameter);
  const [, height, width] = layers[0]!.input;
  builder.constants.set("mean", { shape: [1, 3, height, width], data: mean });
  let x = builder.add("Sub", [INPUT, "mean"]);
  for (const placed of layers) x = builder.layer(placed, x);
  const output = logits ? "logits" : "probabilities";
  if (logits) builder.nodes.push({ op: "Identity", inputs: [x], output });
  else builder.nodes.push({ op: "Softmax", inputs: [x], output, attributes: { axis: 1 } });
  return {
    nodes: builder.nodes,
    constants: builder.constants,
    inputs: { [INPUT]: ["N", 3, height, width] },
    output,
    outputShape: ["N", layers.at(-1)!.output[0]],
  };
}

class Builder {
  readonly nodes: Node[] = [];
  readonly constants = new Map<string, Constant>();
  readonly #parameter: GraphOptions["parameter"];
  #isFlat = false;

  constructor(parameter: GraphOptions["parameter"]) {
    this.#parameter = parameter;
  }

  add(op: string, inputs: readonly string[], attributes: Node["attributes"] = {}): string {
    const output = `${op.toLowerCase()}${this.nodes.length}`;
    this.nodes.push({ op, inputs, output, attributes });
    return output;
  }

  layer(placed: PlacedLayer, x: string): string {
    const { layer } = placed;
    switch (layer.kind) {
      case "conv": {
        const { stride, pad, groups } = layer.windows!;
        const attributes = { strides: [stride, stride], pads: [pad, pad, pad, pad], group: groups };
        return this.add("Conv", [x, ...this.#parameters(placed)], attributes);
      }
      case "local":
        return this.#local(placed, x);
      case "fc": {
        const flat = this.#isFlat ? x : this.add("Flatten", [x]);
        this.#isFlat = true;
        return this.add("Gemm", [flat, ...this.#parameters(placed)], { transB: 1 });
      }
      case "relu":
        return this.add("Relu", [x]);
      case "tanh":
        return this.add("Tanh", [x]);
      case "max-pool":
      case "average-pool":
        return this.#pool(layer, x);
      case "lrn":
        return this.#lrn(placed, x);
      case "map-norm":
        return this.#mapNorm(layer, x);
      case "dropout":
        return x;
      default:
        throw new CheckpointError(`a layer of the kind ${layer.kind} can't be written as ONNX`);
    }
  }

  #parameters({ parameters }: PlacedLayer): string[] {
    for (const { name, shape } of parameters) this.constants.set(name, { shape, data: this.#parameter(name, shape) });
    return parameters.map(({ name }) => name);
  }

  #scalar(value: number): string {
    const name = `scalar${this.constants.size}`;
    this.constants.set(name, { shape: [1], data: Float32Array.of(value) });
    return name;
  }

  #pool({ kind, pool }: Layer, x: string): string {
    const { window, stride, round } = pool!;
    const attributes = {
      ...{ kernel_shape: [window, window], strides: [stride, stride], ceil_mode: round === "up" ? 1 : 0 },
      // What hangs over the edge does not count.
      ...(kind === "average-pool" && { count_include_pad: 0 }),
    };
    return this.add(kind === "max-pool" ? "MaxPool" : "AveragePool", [x], attributes);
  }

  #lrn({ layer, input: [maps] }: PlacedLayer, x: string): string {
    const { n, k, alpha, beta, groups } = layer.lrn!;
    // ONNX divides α by the window.
    const attributes = { size: n, alpha: { float: n * alpha }, beta: { float: beta }, bias: { float: k } };
    if (groups === 1) return this.add("LRN", [x], attributes);
    const sizes = `sizes${this.constants.size}`;
    const data = BigInt64Array.from({ length: groups }, () => BigInt(maps / groups));
    this.constants.set(sizes, { shape: [groups], data });
    const [first, ...more] = Array.from({ length: groups }, (_, g) => `split${this.nodes.length}_${g}`);
    this.nodes.push({ op: "Split", inputs: [x, sizes], output: first!, more, attributes: { axis: 1 } });
    const parts = [first!, ...more].map((part) => this.add("LRN", [part], attributes));
    return this.add("Concat", parts, { axis: 1 });
  }

  /** x · (k + α Σ x²)^−β: the sum is an average over a window with its zeros, times its size. */
  #mapNorm({ mapNorm }: Layer, x: string): string {
    const { size, k, alpha, beta } = mapNorm!;
    const reach = (size - 1) / 2;
    const window = { kernel_shape: [size, size], strides: [1, 1], pads: [reach, reach, reach, reach] };
    const mean = this.add("AveragePool", [this.add("Mul", [x, x])], { ...window, count_include_pad: 1 });
    const sum = this.add("Add", [this.add("Mul", [mean, this.#scalar(alpha * size * size)]), this.#scalar(k)]);
    return this.add("Mul", [x, this.add("Pow", [sum, this.#scalar(-beta)])]);
  }

  /**
   * A convolution with a filter for each place of the window copies the patches into maps; at each position they are
   * multiplied with its own weights: positions × outputs × patch by positions × patch × N.
   */
  #local({ layer, parameters: [weights, biases], input: [c], output: [o, h, w] }: PlacedLayer, x: string): string {
    const [kh, kw] = weights!.shape.slice(4) as [number, number];
    const { stride, pad } = layer.local!;
    const patch = c * kh * kw;
    const pick = new Float32Array(patch * patch);
    for (let i = 0; i < patch; i++) pick[i * patch + i] = 1;
    const values = this.#parameter(weights!.name, weights!.shape);
    const turned = new Float32Array(values.length);
    const positions = h * w;
    for (let row = 0; row < o * positions; row++) {
      const to = ((row % positions) * o + Math.floor(row / positions)) * patch;
      turned.set(values.subarray(row * patch, (row + 1) * patch), to);
    }
    const picking = `patches${patch}`;
    this.constants.set(picking, { shape: [patch, c, kh, kw], data: pick });
    this.constants.set(weights!.name, { shape: [h, w, o, patch], data: turned });
    this.constants.set(biases!.name, { shape: [1, o, h, w], data: this.#parameter(biases!.name, biases!.shape) });
    const patches = this.add("Conv", [x, picking], { strides: [stride, stride], pads: [pad, pad, pad, pad] });
    const byPosition = this.add("Transpose", [patches], { perm: [2, 3, 1, 0] });
    const products = this.add("MatMul", [weights!.name, byPosition]);
    return this.add("Add", [this.add("Transpose", [products], { perm: [3, 2, 0, 1] }), biases!.name]);
  }
}
