/**
 * How many workgroups a GPU runs at once, which WebGPU does not tell: as long as there are fewer, a kernel takes no
 * longer with twice as many.
 */
import { DeviceError } from "../../errors.ts";
import { kernel, type Kernel } from "../kernel.ts";
import type { AdapterKind } from "./adapters.ts";
import type { Measurements } from "./measurements.ts";
import type { Parts } from "./parts.ts";
import { createTimer } from "./timers.ts";
import wgsl from "./busy.wgsl" with { type: "text" };

const THREADS = 256;

/** More than the largest GPU has room for. */
const MOST_GROUPS = 4096;

/** About 0.1 ms on a GPU, far more than starting a kernel takes. */
const STEPS = 1 << 15;

/** The best of so many runs counts. */
const RUNS = 5;

/** So much work before, in ms, that the GPU has left its idle clock. */
const WARM_UP_MS = 10;

/**
 * Up to this many times the time of one workgroup counts as "no longer". A core that is filled by 2, 3 or 4 workgroups
 * takes 1/2, 1/3 or 1/4 longer with each further one; no multiple of these is near 0.4.
 */
const NO_LONGER = 1.4;

/**
 * As it was measured on this device once, so that it stays the same: how sums are split depends on it. Where nothing is
 * measured, the device's clock can't be read, or measuring fails, a usual number.
 */
export function parallelWorkgroups(
  parts: Parts,
  measurements: Measurements | undefined,
  warn: (message: string) => void,
): number {
  const { kind, features, name } = parts.device;
  const usual = usualParallelWorkgroups(kind);
  if (!measurements || kind === "software" || !features.has("timestamps")) return usual;
  try {
    return (measurements.parallelWorkgroups ??= measureParallelWorkgroups(parts));
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    warn(`${name}: how many workgroups run at once can't be measured, ${usual} are assumed: ${error.message}`);
    return usual;
  }
}

/** A software adapter's workgroups are shared out among the processor's threads. 1 would mean that ops need not split. */
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

/** The largest power of two that takes no longer than one does. Takes some milliseconds. @throws DeviceError */
export function measureParallelWorkgroups({ device, queue, pipelines, buffers, staging }: Parts): number {
  const y = buffers.allocate("f32", MOST_GROUPS * THREADS);
  try {
    const program = pipelines.program(busy as unknown as Kernel);
    const pipeline = pipelines.pipeline(program, program.kernel);
    const group = buffers.group(program, { y });
    /** In ms. */
    const time = (groups: number): number => {
      const timer = createTimer(device, queue, staging);
      try {
        queue.timer = timer;
        for (let run = 0; run < RUNS; run++) queue.dispatch(program, pipeline, group, { groups, steps: STEPS });
        return Math.min(...timer.readNow().map(({ ms }) => ms));
      } finally {
        queue.timer = undefined;
        timer.close();
      }
    };
    const start = performance.now();
    for (let groups = 1; performance.now() - start < WARM_UP_MS && groups <= MOST_GROUPS; groups *= 2) time(groups);
    let most = 1;
    // One workgroup is timed each time again: the clock may still change.
    while (most < MOST_GROUPS && time(2 * most) <= NO_LONGER * time(1)) most *= 2;
    return most;
  } finally {
    buffers.free(y);
  }
}
