/**
 * A network as an ONNX graph: from pixels, N × 3 × crop × crop, to classes, for any N. The graph subtracts the mean
 * image; each layer adds its own nodes.
 */
import type { NamedShape, OnnxAttributes, OnnxData, OnnxGraph } from "../../net/layer.ts";
import type { PlacedLayer } from "../../net/model.ts";
import type { Constant, Graph, Node } from "./onnx.ts";

interface GraphOptions {
  readonly layers: readonly PlacedLayer[];
  /** The values of a parameter or a layer's state. */
  readonly stored: (name: string, shape: readonly number[]) => Float32Array;
  /** 3 × crop × crop. */
  readonly mean: Float32Array;
  /** Whether the output is the last layer's, or its softmax. */
  readonly logits: boolean;
  /** What the logits are divided by before the softmax. */
  readonly temperature?: number;
}

const INPUT = "image";

export function networkGraph({ layers, stored, mean, logits, temperature = 1 }: GraphOptions): Graph {
  const builder = new Builder(stored);
  const [, height, width] = layers[0]!.input;
  builder.constants.set("mean", { shape: [1, 3, height, width], data: mean });
  const x = builder.flat(builder.row(layers, builder.add("Sub", [INPUT, "mean"])));
  const output = logits ? "logits" : "probabilities";
  if (logits) builder.nodes.push({ op: "Identity", inputs: [x], output });
  else
    builder.nodes.push({ op: "Softmax", inputs: [builder.divided(x, temperature)], output, attributes: { axis: 1 } });
  return {
    nodes: builder.nodes,
    constants: builder.constants,
    inputs: { [INPUT]: ["N", 3, height, width] },
    output,
    outputShape: ["N", layers.at(-1)!.output[0]],
  };
}

class Builder implements OnnxGraph {
  readonly nodes: Node[] = [];
  readonly constants = new Map<string, Constant>();
  readonly #stored: GraphOptions["stored"];
  /** Names of values that are N × features. */
  readonly #flat = new Set<string>();

  constructor(stored: GraphOptions["stored"]) {
    this.#stored = stored;
  }

  /** Adds layers in order. @returns the last one's output */
  row(layers: readonly PlacedLayer[], x: string): string {
    return layers.reduce((value, placed) => this.#layer(placed, value), x);
  }

  #layer(placed: PlacedLayer, x: string): string {
    const { layer, branches } = placed;
    if (!("branches" in layer)) return layer.toOnnx(this, x, placed);
    return layer.toOnnx(
      this,
      branches.map((row) => this.row(row, x)),
    );
  }

  add(op: string, inputs: readonly string[], attributes: OnnxAttributes = {}): string {
    const output = `${op.toLowerCase()}${this.nodes.length}`;
    this.nodes.push({ op, inputs, output, attributes });
    // An op on a flat value has a flat output.
    if (["Flatten", "Gemm"].includes(op) || inputs.some((input) => this.#flat.has(input))) this.#flat.add(output);
    return output;
  }

  addSplit(op: string, inputs: readonly string[], outputs: number, attributes: OnnxAttributes = {}): readonly string[] {
    const stem = `${op.toLowerCase()}${this.nodes.length}`;
    const [output, ...more] = Array.from({ length: outputs }, (_, i) => `${stem}_${i}`);
    this.nodes.push({ op, inputs, output: output!, more, attributes });
    return [output!, ...more];
  }

  constant(
    of: { readonly name: string } | { readonly prefix: string },
    shape: readonly number[],
    data: OnnxData,
  ): string {
    const name = "name" in of ? of.name : `${of.prefix}${this.constants.size}`;
    this.constants.set(name, { shape, data });
    return name;
  }

  stored(specs: readonly NamedShape[]): readonly string[] {
    return specs.map((spec) => this.constant({ name: spec.name }, spec.shape, this.numbers(spec)));
  }

  numbers({ name, shape }: NamedShape): Float32Array {
    return this.#stored(name, shape);
  }

  divided(x: string, by: number): string {
    return by === 1 ? x : this.add("Div", [x, this.constant({ prefix: "temperature" }, [], Float32Array.of(by))]);
  }

  flat(x: string): string {
    return this.#flat.has(x) ? x : this.add("Flatten", [x]);
  }
}
