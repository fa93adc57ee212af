/** Pooling, paper §3.4. */
import { globalAveragePool as globalAveragePoolOp } from "../../engine/ops/later/global_average_pool.ts";
import { averagePool as averagePoolOp, checkPool, maxPool as maxPoolOp } from "../../engine/ops/pool.ts";
import { positions } from "../../engine/ops/shapes.ts";
import type { OnnxAttributes, SimpleLayer } from "../layer.ts";
import { nonDefault, type Kinds, type Made } from "./kinds.ts";

export interface PoolSettings {
  /** How the output size is rounded; up, as in cuda-convnet, if not given. */
  readonly round?: "up" | "down";
  /** Pixels around the image that windows cover but don't pool, at most half a window; 0 if not given. */
  readonly pad?: number;
}

/** @throws ShapeError or UsageError for invalid sizes */
export function maxPool(window: number, stride: number, settings: PoolSettings = {}): SimpleLayer {
  return pool("max-pool", window, stride, settings, maxPoolOp, "MaxPool");
}

/** @throws as `maxPool` */
export function averagePool(window: number, stride: number, settings: PoolSettings = {}): SimpleLayer {
  // Averages are over the part of the window inside the image.
  return pool("average-pool", window, stride, settings, averagePoolOp, "AveragePool", { count_include_pad: 0 });
}

/** The mean of each map (Lin et al. 2013, arXiv 1312.4400 §3.2). */
export function globalAveragePool(): SimpleLayer {
  return {
    ...{ kind: "global-average-pool", name: "", options: {}, settings: "" },
    outputShape: ([c]) => [c, 1, 1],
    forward: globalAveragePoolOp,
    toOnnx: (graph, x) => graph.add("GlobalAveragePool", [x]),
  };
}

function pool(
  kind: string,
  window: number,
  stride: number,
  settings: PoolSettings,
  op: typeof maxPoolOp,
  onnx: string,
  attributes: OnnxAttributes = {},
): SimpleLayer {
  checkPool(kind, { window, stride, ...settings });
  const { round = "up", pad = 0 } = settings;
  const options = { window, stride, round, pad };
  return {
    ...{ kind, name: "", options: { window, stride, ...settings } },
    ...(op === maxPoolOp && { maxPool: options }),
    settings: `${window}×${window}, stride ${stride}${nonDefault({ pad: [pad, 0] })}`,
    outputShape: ([c, h, w]) => [c, positions(h, window, stride, pad, round), positions(w, window, stride, pad, round)],
    forward: (x) => op(x, options),
    toOnnx: (graph, x) =>
      graph.add(onnx, [x], {
        ...{ kernel_shape: [window, window], strides: [stride, stride], ceil_mode: round === "up" ? 1 : 0 },
        ...(pad > 0 && { pads: [pad, pad, pad, pad] }),
        ...attributes,
      }),
  };
}

type MadePool = Made<PoolSettings, "window" | "stride">;

export const poolingKinds: Kinds = {
  "max-pool": ({ window, stride, name: _, ...settings }: MadePool) => maxPool(window, stride, settings),
  "average-pool": ({ window, stride, name: _, ...settings }: MadePool) => averagePool(window, stride, settings),
  "global-average-pool": () => globalAveragePool(),
};
