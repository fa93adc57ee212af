/** How long a kernel takes at least on a device, and what limits it. */
import type { Cost } from "./costs.ts";

/** What a device can do at most. */
export interface Roofs {
  readonly flopsPerSecond: number;
  /** Read and written, both counted. */
  readonly bytesPerSecond: number;
  /** From the end of one kernel to the start of the next. */
  readonly launchMs: number;
  /** What the host needs to encode and submit a kernel while the device computes; 0 if it is not known. */
  readonly hostMs?: number;
}

export type Limit = "arithmetic" | "memory" | "launch" | "host";

/** The least time for each of a kernel's limits, in ms. */
export function leastTimes({ flop, bytes }: Cost, roofs: Roofs): Readonly<Record<Limit, number>> {
  return {
    arithmetic: (1000 * flop) / roofs.flopsPerSecond,
    memory: (1000 * bytes) / roofs.bytesPerSecond,
    launch: roofs.launchMs,
    host: roofs.hostMs ?? 0,
  };
}

export interface Bound {
  readonly limit: Limit;
  /** The kernel takes at least this long. */
  readonly ms: number;
}

/** The limit that a kernel meets first. */
export function boundOf(cost: Cost, roofs: Roofs): Bound {
  const times = Object.entries(leastTimes(cost, roofs)) as [Limit, number][];
  const [limit, ms] = times.reduce((longest, each) => (each[1] > longest[1] ? each : longest));
  return { limit, ms };
}

/** What `boundOf` says of a time that was measured. */
export interface Judgement extends Bound {
  /** The least time as a part of the measured one: 1 at the roof. */
  readonly reached: number;
  /** Whether the limit explains the time. If not, the kernel waits for something else: latency, bank conflicts, … */
  readonly explains: boolean;
}

/** Below this part of its bound, a kernel is held back by something else. Good products reach half of the arithmetic. */
const EXPLAINED = 0.25;

export function judge(cost: Cost, roofs: Roofs, measuredMs: number): Judgement {
  const bound = boundOf(cost, roofs);
  const reached = measuredMs > 0 ? bound.ms / measuredMs : 1;
  return { ...bound, reached, explains: reached >= EXPLAINED };
}
