/**
 * How many workgroups a GPU runs at once, which WebGPU does not tell: as long as there are fewer, a kernel takes no
 * longer with twice as many.
 */
import { kernel, type Kernel } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";
import type { AdapterKind } from "./adapters.ts";
import type { Device } from "./device.ts";
import type { Measurements } from "./measurements.ts";
import type { Parts } from "./parts.ts";
import { leastTime } from "./timers.ts";
import wgsl from "./busy.wgsl" with { type: "text" };

const THREADS = 256;

/** More than the largest GPU has room for. */
const MOST_GROUPS = 4096;

/** About 0.1 ms on a GPU, far more than starting a kernel takes. */
const STEPS = 1 << 15;

/** The best of so many runs counts. */
const RUNS = 5;

/** A GPU leaves its idle clock only under load, for which it gets this many workgroups. */
const WARM_UP_GROUPS = 256;
/** It is warm after so many ms, and once a time repeats within so much, or after so many ms at most. */
const WARM_UP_MS = 100;
const REPEATS = 0.02;
const MOST_WARM_UP_MS = 1000;

/**
 * Up to this many times the time of one workgroup counts as "no longer". A core that is filled by 2, 3 or 4 workgroups
 * takes 1/2, 1/3 or 1/4 longer with each further one; no multiple of these is near 0.4.
 */
const NO_LONGER = 1.4;

/**
 * As it was measured on this device once, so that it stays the same: how sums are split depends on it. Where nothing is
 * measured, the device's clock can't be read, or measuring fails, a usual number.
 * @param measure as `measureParallelWorkgroups`
 */
export function parallelWorkgroups(
  { kind, features, name }: Pick<Device, "kind" | "features" | "name">,
  measurements: Measurements | undefined,
  warn: (message: string) => void,
  measure: () => number,
): number {
  const usual = usualParallelWorkgroups(kind);
  if (!measurements || kind === "software" || !features.has("timestamps")) return usual;
  try {
    return (measurements.parallelWorkgroups ??= measure());
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    warn(`${name}: how many workgroups run at once can't be measured, ${usual} are assumed: ${error.message}`);
    return usual;
  }
}

/** A software adapter's workgroups are shared out among the processor's threads. */
function usualParallelWorkgroups(kind: AdapterKind): number {
  return { discrete: 512, integrated: 64, other: 64, software: Math.max(2, navigator.hardwareConcurrency) }[kind];
}

export const busy = kernel({
  name: "busy",
  module: import.meta.url,
  wgsl,
  buffers: { y: "write" },
  uniforms: { groups: "u32", steps: "u32" },
  workgroups: ({ groups }) => [groups, 1, 1],
  reference({ y }, { groups, steps }) {
    for (let i = 0; i < groups * THREADS; i++) {
      let v = i % THREADS;
      for (let step = 0; step < steps; step++) v = v * 0.999 + 0.001;
      y[i] = v;
    }
  },
});

/** The largest power of two, from 2 on, of workgroups that take no longer than one. @throws DeviceError */
export function measureParallelWorkgroups(parts: Parts): number {
  const { queue, pipelines, buffers, clock } = parts;
  const y = buffers.allocate("f32", MOST_GROUPS * THREADS);
  try {
    const program = pipelines.program(busy as unknown as Kernel);
    const pipeline = pipelines.pipeline(program, program.kernel);
    const group = buffers.group(program, { y });
    const dispatch = (groups: number) => queue.dispatch(program, pipeline, group, { groups, steps: STEPS });
    return findParallelWorkgroups((groups) => leastTime(parts, RUNS, () => dispatch(groups)), clock.now);
  } finally {
    buffers.free(y);
  }
}

/**
 * The same, from the times alone.
 * @param time how long so many workgroups take, in ms
 * @param now the time, in ms
 */
export function findParallelWorkgroups(time: (groups: number) => number, now: () => number): number {
  const start = now();
  let [last, one] = [Infinity, time(1)];
  const isWarm = (ms: number) => ms >= MOST_WARM_UP_MS || (ms >= WARM_UP_MS && Math.abs(one - last) <= REPEATS * last);
  while (!isWarm(now() - start)) {
    time(WARM_UP_GROUPS);
    [last, one] = [one, time(1)];
  }
  // The clock may still change. So one workgroup is timed again each time, and what fails is tried twice.
  const isNoLonger = (groups: number) => time(groups) <= NO_LONGER * time(1);
  let most = 2;
  while (most < MOST_GROUPS && (isNoLonger(2 * most) || isNoLonger(2 * most))) most *= 2;
  return most;
}
