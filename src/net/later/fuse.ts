/** Which layers of a row one op computes together, so that what is between them is never written to memory. */
import type { Activation } from "../../engine/ops/later/epilogue.ts";
import type { PoolOptions } from "../../engine/ops/pool.ts";
import type { Layer, SimpleLayer } from "../layer.ts";

/** A layer, and what it computes for those after it. */
export interface Fused<P> {
  readonly placed: P;
  /** Batch normalisation. */
  readonly norm: P | undefined;
  readonly activation: Activation | undefined;
  readonly maxPool: PoolOptions | undefined;
  /** How many layers these are. */
  readonly count: number;
}

/** @param folds whether a convolution may compute the batch normalisation after it: in use, and without gradients */
export function fuse<P extends { readonly layer: Layer }>(row: readonly P[], folds: boolean): Fused<P>[] {
  const fused: Fused<P>[] = [];
  for (let first = 0; first < row.length; first += fused.at(-1)!.count) {
    const placed = row[first]!;
    const { fuses = [] } = placed.layer;
    const after = (count: number) => row[first + count]?.layer as Partial<SimpleLayer> | undefined;
    const norm = folds && fuses.includes("fold") && after(1)?.fold ? row[first + 1] : undefined;
    const count = norm ? 2 : 1;
    const activation = fuses.includes("activation") ? after(count)?.activation : undefined;
    const maxPool = fuses.includes("max-pool") ? after(count)?.maxPool : undefined;
    fused.push({ placed, norm, activation, maxPool, count: activation || maxPool ? count + 1 : count });
  }
  return fused;
}
