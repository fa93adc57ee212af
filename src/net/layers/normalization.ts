/** Normalisation: layers that bring activations to a comparable scale. */
import { checkLrn, lrn as lrnOp, type LrnOptions } from "../../engine/ops/lrn.ts";
import { lrnMaxPool } from "../../engine/ops/later/lrn_max_pool.ts";
import { scale } from "../../engine/ops/later/multiply.ts";
import { checkMapNorm, mapNorm as mapNormOp, type MapNormOptions } from "../../engine/ops/map_norm.ts";
import { requireNumber } from "../../options.ts";
import type { OnnxGraph, SimpleLayer } from "../layer.ts";
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
    fuses: ["max-pool"],
    forward: (x, _, { maxPool }) => (maxPool ? lrnMaxPool(x, options, maxPool) : lrnOp(x, options)),
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
  return {
    ...{ kind: "divide", name: "", options: { by }, settings: `by ${by}` },
    forward: (x) => scale(x, 1 / by),
    toOnnx: (graph, x) => graph.add("Div", [x, graph.constant({ prefix: "scalar" }, [], Float32Array.of(by))]),
  };
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

export const normalizationKinds: Kinds = {
  lrn: ({ name: _, ...options }: Made<LrnOptions>) => lrn(options),
  divide: ({ by }: Made<object, "by">) => divide(by),
  "map-norm": ({ name: _, ...options }: Made<MapNormOptions>) => mapNorm(options),
};
