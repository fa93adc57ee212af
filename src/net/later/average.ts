/** Averages of the weights in a recipe; src/net/later/averaged.ts computes them. */
import { COUNT, isRecord } from "../../rules.ts";

export type Average =
  | { readonly kind: "ema"; readonly decay: number }
  | { readonly kind: "lookahead"; readonly decay: number; readonly every: number };

/** Whether a value, which may be a stranger's, is one. */
export function isAverage(value: unknown): value is Average {
  if (!isRecord(value)) return false;
  const { kind, decay, every } = value;
  if (!(typeof decay === "number" && decay >= 0 && decay < 1)) return false;
  return kind === "ema" || (kind === "lookahead" && COUNT(every) === undefined);
}
