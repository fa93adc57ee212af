/** Normalisation: layers that bring activations to a comparable scale. */
import { batchNorm as batchNormOp, checkBatchNorm } from "../../engine/ops/later/batch_norm.ts";
import { checkLrn, lrn as lrnOp, type LrnOptions } from "../../engine/ops/lrn.ts";
import { checkMapNorm, mapNorm as mapNormOp, type MapNormOptions } from "../../engine/ops/map_norm.ts";
import { ShapeError, UsageError } from "../../errors.ts";
import { checkOptions, requireNumber, show, type OptionKinds } from "../../options.ts";
import type { OnnxGraph, ParameterSpec, SimpleLayer } from "../layer.ts";
import { groupsOfPart, nonDefault, type Kinds, type Made } from "./kinds.ts";

/** Response normalisation across maps, paper §3.3. @throws ShapeError or UsageError for invalid options */
export function lrn(options: LrnOptions): SimpleLayer {
  checkLrn("lrn", options);
  return lrnOf(options);
}

function lrnOf(options: LrnOptions): SimpleLayer {
  const { n, k, alpha, beta, groups = 1 } = options;
  return {
    kind: "lrn",
    name: "",
    options: { ...options },
    settings: `across ${n} maps, k ${k}, α ${alpha}, β ${beta}${nonDefault({ groups: [groups, 1] })}`,
    // Each device normalises its own maps, as in 2012.
    part: (of) => ({ layer: lrnOf({ ...options, groups: groupsOfPart(groups, of) }), reads: "own" }),
    forward: (x) => lrnOp(x, options),
    toOnnx: (graph, x, { input: [maps] }) => lrnToOnnx(graph, x, maps, options),
  };
}

function lrnToOnnx(graph: OnnxGraph, x: string, maps: number, { n, k, alpha, beta, groups = 1 }: LrnOptions): string {
  // ONNX divides α by the window's size.
  const attributes = { size: n, alpha: { float: n * alpha }, beta: { float: beta }, bias: { float: k } };
  if (groups === 1) return graph.add("LRN", [x], attributes);
  const data = BigInt64Array.from({ length: groups }, () => BigInt(maps / groups));
  const sizes = graph.constant({ prefix: "sizes" }, [groups], data);
  const parts = graph.addSplit("Split", [x, sizes], groups, { axis: 1 });
  return graph.add(
    "Concat",
    parts.map((part) => graph.add("LRN", [part], attributes)),
    { axis: 1 },
  );
}

/** Divides by a number, to bring pixels of ±128 to the scale that weights are initialised for. @throws as `lrn` */
export function divide(by: number): SimpleLayer {
  requireNumber("divide", { by }, Number.MIN_VALUE);
  // Response normalisation across one map with α 0 leaves x / k^β.
  return { ...lrn({ n: 1, k: by, alpha: 0, beta: 1 }), kind: "divide", options: { by }, settings: `by ${by}` };
}

/** Response normalisation within each map. @throws as `lrn` */
export function mapNorm(options: MapNormOptions): SimpleLayer {
  checkMapNorm("mapNorm", options);
  const { size, k, alpha, beta } = options;
  return {
    kind: "map-norm",
    name: "",
    options: { ...options },
    settings: `${size}×${size} inside a map, k ${k}, α ${Number(alpha.toPrecision(3))}, β ${beta}`,
    forward: (x) => mapNormOp(x, options),
    toOnnx(graph, x) {
      // x · (k + α Σ x²)^−β. The sum is the window's average, padding included, times its size.
      const reach = (size - 1) / 2;
      const window = { kernel_shape: [size, size], strides: [1, 1], pads: [reach, reach, reach, reach] };
      const mean = graph.add("AveragePool", [graph.add("Mul", [x, x])], { ...window, count_include_pad: 1 });
      const scalar = (value: number) => graph.constant({ prefix: "scalar" }, [1], Float32Array.of(value));
      const sum = graph.add("Add", [graph.add("Mul", [mean, scalar(alpha * size * size)]), scalar(k)]);
      return graph.add("Mul", [x, graph.add("Pow", [sum, scalar(-beta)])]);
    },
  };
}

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
    { name: `${name}.weight`, shape: [maps], initial: { constant: 1 }, role: "weight" },
    { name: `${name}.bias`, shape: [maps], initial: { constant: 0 }, role: "bias" },
  ];
  const first = { both: 0, shift: 1, neither: 2 }[learns];
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
    forward(x, parameters, { training, state: [mean, variance] }) {
      const [shift, scale] = parameters.toReversed();
      return batchNormOp(x, { scale, shift, mean: mean!, variance: variance! }, { training, momentum, epsilon });
    },
    toOnnx(graph, x, { parameters, state, input: [maps] }) {
      const missing = learnt(maps).slice(0, 2 - parameters.length);
      const values = { weight: 1, bias: 0 };
      const constants = missing.map(({ name, shape, role }) =>
        graph.constant({ name }, shape, new Float32Array(maps).fill(values[role])),
      );
      const inputs = [x, ...constants, ...graph.stored([...parameters, ...state])];
      return graph.add("BatchNormalization", inputs, { epsilon: { float: epsilon } });
    },
  };
}

export const normalizationKinds: Kinds = {
  "batch-norm": ({ name, ...options }: Made<BatchNormOptions>) => batchNorm(name, options),
  lrn: ({ name: _, ...options }: Made<LrnOptions>) => lrn(options),
  divide: ({ by }: Made<object, "by">) => divide(by),
  "map-norm": ({ name: _, ...options }: Made<MapNormOptions>) => mapNorm(options),
};
