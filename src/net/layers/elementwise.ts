/** Elementwise layers: activation functions and dropout. */
import { relu as reluOp, tanh as tanhOp } from "../../engine/ops/activation.ts";
import { checkKeep, dropout as dropoutOp } from "../../engine/ops/dropout.ts";
import type { Tensor } from "../../engine/tensor.ts";
import type { SimpleLayer } from "../layer.ts";
import type { Kinds, Made } from "./kinds.ts";

/** max(0, x), paper §3.1. */
export function relu(): SimpleLayer {
  return activation("relu", reluOp, "Relu");
}

export function tanh(): SimpleLayer {
  return activation("tanh", tanhOp, "Tanh");
}

function activation(kind: string, op: (x: Tensor) => Tensor, onnx: string): SimpleLayer {
  return {
    ...{ kind, name: "", options: {}, settings: "" },
    isActivation: true,
    forward: op,
    toOnnx: (graph, x) => graph.add(onnx, [x]),
  };
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
  dropout: ({ keep }: Made<object, "keep">) => dropout(keep),
};
