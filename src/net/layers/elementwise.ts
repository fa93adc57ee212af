/** Elementwise layers: activation functions and dropout. */
import * as ops from "../../engine/ops/activation.ts";
import { checkKeep, dropout as dropoutOp } from "../../engine/ops/dropout.ts";
import type { Tensor } from "../../engine/tensor.ts";
import type { OnnxGraph, SimpleLayer } from "../layer.ts";
import type { Kinds, Made } from "./kinds.ts";

/** max(0, x), paper §3.1. */
export function relu(): SimpleLayer {
  return { ...activation("relu", ops.relu, operator("Relu")), activation: "relu" };
}

export function tanh(): SimpleLayer {
  return activation("tanh", ops.tanh, operator("Tanh"));
}

/** min(max(0, x), 6). */
export function relu6(): SimpleLayer {
  const toOnnx: ToOnnx = (graph, x) => graph.add("Clip", [x, scalar(graph, 0), scalar(graph, 6)]);
  return { ...activation("relu6", ops.relu6, toOnnx), activation: "relu6" };
}

/** 1 / (1 + e^−x). */
export function sigmoid(): SimpleLayer {
  return activation("sigmoid", ops.sigmoid, operator("Sigmoid"));
}

/** x · sigmoid(x), also called Swish. */
export function silu(): SimpleLayer {
  return activation("silu", ops.silu, (graph, x) => graph.add("Mul", [x, graph.add("Sigmoid", [x])]));
}

/** x times the normal distribution function of x, PyTorch's `GELU()`. */
export function gelu(): SimpleLayer {
  return activation("gelu", ops.gelu, (graph, x) =>
    halfOf(graph, x, graph.add("Erf", [graph.add("Div", [x, scalar(graph, Math.SQRT2)])])),
  );
}

/** The approximation of `gelu` by tanh, PyTorch's `GELU("tanh")`. */
export function geluTanh(): SimpleLayer {
  return activation("gelu-tanh", ops.geluTanh, (graph, x) => {
    const cube = graph.add("Pow", [x, scalar(graph, 3)]);
    const sum = graph.add("Add", [x, graph.add("Mul", [cube, scalar(graph, 0.044715)])]);
    return halfOf(graph, x, graph.add("Tanh", [graph.add("Mul", [sum, scalar(graph, Math.sqrt(2 / Math.PI))])]));
  });
}

/** x · relu6(x + 3) / 6. */
export function hardSwish(): SimpleLayer {
  return activation("hard-swish", ops.hardSwish, operator("HardSwish"));
}

type ToOnnx = (graph: OnnxGraph, x: string) => string;

function activation(kind: string, forward: (x: Tensor) => Tensor, toOnnx: ToOnnx): SimpleLayer {
  return { ...{ kind, name: "", options: {}, settings: "" }, isActivation: true, forward, toOnnx };
}

function operator(name: string): ToOnnx {
  return (graph, x) => graph.add(name, [x]);
}

function scalar(graph: OnnxGraph, value: number): string {
  return graph.constant({ prefix: "scalar" }, [], Float32Array.of(value));
}

/** x · (1 + y) / 2, in the order in which onnxruntime finds GELU. */
function halfOf(graph: OnnxGraph, x: string, y: string): string {
  const product = graph.add("Mul", [x, graph.add("Add", [y, scalar(graph, 1)])]);
  return graph.add("Mul", [product, scalar(graph, 0.5)]);
}

/** Dropout in training, the identity otherwise, paper §4.2. @throws ShapeError unless 0 < keep ≤ 1 */
export function dropout(keep = 0.5): SimpleLayer {
  checkKeep("dropout", keep);
  return {
    ...{ kind: "dropout", name: "", options: { keep }, settings: `keep ${keep}` },
    isRandom: true,
    forward: (x, _, { training, key }) => (training ? dropoutOp(x, { keep, key }) : x),
    toOnnx: (_, x) => x,
  };
}

export const elementwiseKinds: Kinds = {
  relu: () => relu(),
  tanh: () => tanh(),
  relu6: () => relu6(),
  sigmoid: () => sigmoid(),
  silu: () => silu(),
  gelu: () => gelu(),
  "gelu-tanh": () => geluTanh(),
  "hard-swish": () => hardSwish(),
  dropout: ({ keep }: Made<object, "keep">) => dropout(keep),
};
