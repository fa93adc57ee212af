/** Batch normalisation. */
import { batchNorm as batchNormOp, checkBatchNorm, foldBatchNorm } from "../../../engine/ops/later/batch_norm.ts";
import type { Tensor } from "../../../engine/tensor.ts";
import { ShapeError, UsageError } from "../../../errors.ts";
import { checkOptions, show, type OptionKinds } from "../../../options.ts";
import type { ParameterSpec, SimpleLayer } from "../../layer.ts";
import type { Kinds, Made } from "../kinds.ts";

export interface BatchNormOptions {
  /** How far the running mean and variance move towards the batch's, 0.1 as in PyTorch if not given. */
  readonly momentum?: number;
  /** Added to the variance, 1e-5 as in PyTorch if not given. */
  readonly epsilon?: number;
  /** What is learnt: a scale and a shift of each map, the shift alone, or neither; "both" if not given. */
  readonly learns?: "both" | "shift" | "neither";
}

const BATCH_NORM: OptionKinds<BatchNormOptions> = { momentum: "number?", epsilon: "number?", learns: "string?" };

/**
 * Batch normalisation (arXiv 1502.03167), with the names of PyTorch's: NAME.weight, .bias, .running_mean, .running_var.
 * @throws as `lrn`
 */
export function batchNorm(name: string, options: BatchNormOptions = {}): SimpleLayer {
  if (typeof name !== "string" || name === "")
    throw new ShapeError(`batchNorm: the name is ${show(name)}, must be a text`);
  const where = `batchNorm ${name}`;
  checkOptions(where, options, BATCH_NORM);
  const { momentum = 0.1, epsilon = 1e-5, learns = "both" } = options;
  checkBatchNorm(where, { training: true, momentum, epsilon });
  if (!["both", "shift", "neither"].includes(learns)) {
    throw new UsageError(`${where}: learns is ${show(learns)}, must be both, shift or neither`);
  }
  const learnt = (maps: number): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [maps], initial: { constant: 1 }, role: "scale" },
    { name: `${name}.bias`, shape: [maps], initial: { constant: 0 }, role: "bias" },
  ];
  const first = { both: 0, shift: 1, neither: 2 }[learns];
  const tensorsOf = ({ parameters, state }: Readonly<Record<"parameters" | "state", readonly Tensor[]>>) => {
    const [[shift, scale], [mean, variance]] = [parameters.toReversed(), state];
    return { scale, shift, mean: mean!, variance: variance! };
  };
  return {
    kind: "batch-norm",
    name,
    options: { ...options },
    settings: `momentum ${momentum}, ε ${epsilon}${learns === "both" ? "" : `, learns ${learns}`}`,
    parameters: ([maps]) => learnt(maps).slice(first),
    state: ([maps]) => [
      { name: `${name}.running_mean`, shape: [maps], initial: 0 },
      { name: `${name}.running_var`, shape: [maps], initial: 1 },
    ],
    fuses: ["activation"],
    forward: (x, parameters, { training, state, activation }) =>
      batchNormOp(x, tensorsOf({ parameters, state }), { training, momentum, epsilon, activation }),
    fold: (tape, stored) => (b) => foldBatchNorm(tape, b, tensorsOf(stored), epsilon),
    toOnnx(graph, x, { parameters, state, input: [maps] }) {
      const missing = learnt(maps).slice(0, 2 - parameters.length);
      const constants = missing.map(({ name, shape, role }) =>
        graph.constant({ name }, shape, new Float32Array(maps).fill(role === "bias" ? 0 : 1)),
      );
      const inputs = [x, ...constants, ...graph.stored([...parameters, ...state])];
      return graph.add("BatchNormalization", inputs, { epsilon: { float: epsilon } });
    },
  };
}

export const batchNormKinds: Kinds = {
  "batch-norm": ({ name, ...options }: Made<BatchNormOptions>) => batchNorm(name, options),
};
