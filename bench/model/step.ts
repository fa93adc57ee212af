/** The time of a step on a device, by the model: the sum of its kernels', each from its limit. */
import type { Change, Priced } from "./changes.ts";
import type { Cost } from "./costs.ts";
import { REACHED, type ModelDevice } from "./devices.ts";
import { leastTimes, type Limit } from "./roofs.ts";

export interface ModelTime {
  readonly ms: number;
  readonly limit: Limit;
}

/** A kernel waits to be launched, then takes as long as its arithmetic or its traffic, at the rates that are reached. */
export function timeOf({ flop, bytes }: Cost, device: ModelDevice): ModelTime {
  const least = leastTimes({ flop, bytes }, device);
  const [arithmetic, memory] = [least.arithmetic / REACHED.arithmetic, least.memory / REACHED.memory];
  const work = Math.max(arithmetic, memory);
  const limit = work < least.launch ? "launch" : arithmetic > memory ? "arithmetic" : "memory";
  return { ms: least.launch + work, limit };
}

export function stepMs(step: readonly Priced[], device: ModelDevice): number {
  return step.reduce((sum, item) => sum + timeOf(item, device).ms, 0);
}

/** The part of a step's time that a change saves. */
export function gainOf({ apply, isDone }: Change, step: readonly Priced[], device: ModelDevice): number {
  const [now, changed] = [step, apply(step, (cost) => timeOf(cost, device).ms)].map((each) => stepMs(each, device));
  return isDone ? 1 - now! / changed! : 1 - changed! / now!;
}
