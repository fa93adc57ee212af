/** The first steps of a training at smaller rates, which rise in a straight line (Goyal et al. 2017, §2.2). */
import { ABOVE_ZERO, COUNT, isRecord } from "../../rules.ts";

/** How long it takes. */
export type Warmup = { readonly epochs: number } | { readonly steps: number };

/** Whether a value, which may be a stranger's, is one. */
export function isWarmup(value: unknown): value is Warmup {
  if (!isRecord(value) || Object.keys(value).length !== 1) return false;
  return "steps" in value ? COUNT(value.steps) === undefined : ABOVE_ZERO(value.epochs) === undefined;
}

/** The factor of the learning rate in a step, counted from 0: above 0 in the first, and 1 from the last of the warm-up on. */
export function warmth(warmup: Warmup | undefined, step: number, stepsPerEpoch: number): number {
  if (!warmup) return 1;
  const steps = "steps" in warmup ? warmup.steps : warmup.epochs * stepsPerEpoch;
  return Math.min(1, (step + 1) / steps);
}
