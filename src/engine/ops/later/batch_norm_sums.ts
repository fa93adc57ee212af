/**
 * The sums over a map that batch normalisation needs: its mean and variance, and the gradients of its scale and shift. On
 * a GPU a workgroup sums up a map; a few long maps are cut into equal parts (`chooseCuts`), so that the device is busy,
 * and so that a part is in the cache when it is read a second time, for the variance. With means m_i and variances v_i
 * of P parts,
 *
 *   m = Σ m_i / P,  v = Σ (v_i + (m_i − m)²) / P
 */
import type { Backend, Buffer } from "../../backend.ts";
import { kernel, line, u32s } from "../../kernel.ts";
import { poolOf } from "../../pool.ts";
import { chooseCuts, rowSum } from "../row_sum.ts";
import { NO_EPSILON } from "./batch_norm_shared.ts";
import { passesGradient } from "./epilogue.ts";
import combineWgsl from "../../../../kernels/wgsl/batch_norm_combine.wgsl" with { type: "text" };
import gradientsWgsl from "../../../../kernels/wgsl/batch_norm_gradients.wgsl" with { type: "text" };
import statisticsWgsl from "../../../../kernels/wgsl/batch_norm_statistics.wgsl" with { type: "text" };

type Given<Name extends string> = Readonly<Record<Name, Buffer>>;
type Sizes<Name extends string> = Readonly<Record<Name, number>>;

/** Queues what computes `stats` and moves the running mean and variance. */
export function runStatistics(
  backend: Backend,
  given: Given<"x" | "mean" | "variance" | "stats">,
  sizes: Sizes<"maps" | "plane" | "training" | "momentum" | "epsilon">,
): void {
  const { maps, plane, training, momentum, epsilon } = sizes;
  const cuts = training ? chooseCuts(backend, maps, plane) : 1;
  if (cuts === 1) {
    backend.run(batchNormStatistics, given, sizes);
    return;
  }
  const { x, ...results } = given;
  const pool = poolOf(backend);
  const rows = maps * cuts;
  const parts = pool.take("f32", 2 * rows);
  // In memory each map is `cuts` smaller ones, which have no running statistics.
  const [mean, variance] = [pool.take("f32", rows), pool.take("f32", rows)];
  const ofParts = { maps: rows, plane: plane / cuts, training, momentum: 0, epsilon: NO_EPSILON };
  backend.run(batchNormStatistics, { x, mean, variance, stats: parts }, ofParts);
  backend.run(batchNormCombine, { parts, ...results }, { maps, cuts, plane, momentum, epsilon });
  // Safe while the kernels are still queued: whatever uses the buffers next is queued after them.
  for (const buffer of [parts, mean, variance]) pool.give(buffer);
}

/** Queues what computes the gradients of scale and shift. */
export function runGradients(
  backend: Backend,
  given: Given<"x" | "w" | "b" | "stats" | "dy" | "dw" | "db">,
  sizes: Sizes<"maps" | "plane" | "activation">,
): void {
  const { maps, plane } = sizes;
  const splits = chooseCuts(backend, maps, plane);
  if (splits === 1) {
    backend.run(batchNormGradients, given, { ...sizes, splits });
    return;
  }
  const pool = poolOf(backend);
  const [dw, db] = [pool.take("f32", maps * splits), pool.take("f32", maps * splits)];
  backend.run(batchNormGradients, { ...given, dw, db }, { ...sizes, splits });
  const rows = { rows: maps, columns: splits };
  backend.run(rowSum, { x: dw, y: given.dw }, rows);
  backend.run(rowSum, { x: db, y: given.db }, rows);
  for (const buffer of [dw, db]) pool.give(buffer);
}

export const batchNormStatistics = kernel({
  name: "batch_norm_statistics",
  module: import.meta.url,
  wgsl: statisticsWgsl,
  buffers: { x: "read", mean: "update", variance: "update", stats: "write" },
  uniforms: { ...u32s("maps", "plane", "training"), momentum: "f32", epsilon: "f32" },
  // One workgroup a map.
  workgroups: ({ maps }) => line(maps, 1),
  reference({ x, mean, variance, stats }, { maps, plane, training, momentum, epsilon }) {
    for (let map = 0; map < maps; map++) {
      let [m, v] = [mean[map]!, variance[map]!];
      if (training === 1) {
        const first = map * plane;
        let [sum, squares] = [0, 0];
        for (let i = first; i < first + plane; i++) sum += x[i]!;
        m = sum / plane;
        for (let i = first; i < first + plane; i++) squares += (x[i]! - m) ** 2;
        v = squares / plane;
        mean[map]! += momentum * (m - mean[map]!);
        variance[map]! += momentum * (squares / (plane - 1) - variance[map]!);
      }
      stats[map] = m;
      stats[maps + map] = 1 / Math.sqrt(v + epsilon);
    }
  },
});

export const batchNormCombine = kernel({
  name: "batch_norm_combine",
  module: import.meta.url,
  wgsl: combineWgsl,
  // parts: m and 1 / √v of `cuts` equal parts of each map.
  buffers: { parts: "read", mean: "update", variance: "update", stats: "write" },
  uniforms: { ...u32s("maps", "cuts", "plane"), momentum: "f32", epsilon: "f32" },
  workgroups: ({ maps }) => line(maps),
  reference({ parts, mean, variance, stats }, { maps, cuts, plane, momentum, epsilon }) {
    for (let map = 0; map < maps; map++) {
      let [m, v] = [0, 0];
      for (let i = map * cuts; i < (map + 1) * cuts; i++) m += parts[i]! / cuts;
      for (let i = map * cuts; i < (map + 1) * cuts; i++) {
        v += (parts[maps * cuts + i]! ** -2 + (parts[i]! - m) ** 2) / cuts;
      }
      mean[map]! += momentum * (m - mean[map]!);
      variance[map]! += momentum * ((v * plane) / (plane - 1) - variance[map]!);
      stats[map] = m;
      stats[maps + map] = 1 / Math.sqrt(v + epsilon);
    }
  },
});

export const batchNormGradients = kernel({
  name: "batch_norm_gradients",
  module: import.meta.url,
  wgsl: gradientsWgsl,
  buffers: { x: "read", w: "read", b: "read", stats: "read", dy: "read", dw: "write", db: "write" },
  // splits: into how many equal parts each map is cut.
  uniforms: u32s("maps", "plane", "activation", "splits"),
  workgroups: ({ maps, splits }) => line(maps * splits, 1),
  reference({ x, w, b, stats, dy, dw, db }, { maps, plane, activation, splits }) {
    for (let i = 0, part = 0; part < maps * splits; part++) {
      const map = Math.floor(part / splits);
      let [scaled, plain] = [0, 0];
      for (let p = 0; p < plane / splits; p++, i++) {
        const centred = x[i]! - stats[map]!;
        if (!passesGradient(centred * stats[maps + map]! * w[map]! + b[map]!, activation)) continue;
        scaled += dy[i]! * centred;
        plain += dy[i]!;
      }
      dw[part] = scaled * stats[maps + map]!;
      db[part] = plain;
    }
  },
});
