/**
 * Measures how many workgroups a GPU runs at once, which WebGPU doesn't say: below that, a kernel takes no longer with
 * twice as many.
 */
import { kernel, type Kernel } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";
import type { AdapterKind } from "../gpu/description.ts";
import type { Device } from "./device.ts";
import type { Gpu } from "./gpu.ts";
import type { Measurements } from "./measurements.ts";
import { leastTime } from "./timers.ts";
import wgsl from "./busy.wgsl" with { type: "text" };

const THREADS = 256;

/** More than the largest GPU runs at once. */
const MAX_GROUPS = 4096;

/** Takes about 0.1 ms on a GPU, far longer than starting a kernel. */
const STEPS = 1 << 15;

/** The best of this many runs counts. */
const RUNS = 5;

/** A GPU leaves its idle clock only under load: this many workgroups. */
const WARM_UP_GROUPS = 256;
/**
 * It is warm after WARM_UP_MS, once two successive times differ by at most the share REPEATS; or after MAX_WARM_UP_MS.
 */
const WARM_UP_MS = 100;
const REPEATS = 0.02;
const MAX_WARM_UP_MS = 1000;

/**
 * Up to this multiple of one workgroup's time counts as "no longer". A core that 2, 3 or 4 workgroups fill takes 1/2,
 * 1/3 or 1/4 longer with each further one; no multiple of these is near 0.4.
 */
const NO_LONGER = 1.4;

/**
 * The number of workgroups that run at once. It is measured only once per device, since the splitting of sums, and so
 * their rounding, depends on it. Without measurements or the device's clock, or if measuring fails, it is a typical
 * number.
 * @param measure `measureParallelWorkgroups`
 */
export function parallelWorkgroups(
  { kind, features, name }: Pick<Device, "kind" | "features" | "name">,
  measurements: Measurements | undefined,
  warn: (message: string) => void,
  measure: () => number,
): number {
  const fallback = defaultParallelWorkgroups(kind);
  if (!measurements || kind === "software" || !features.has("timestamps")) return fallback;
  try {
    return (measurements.parallelWorkgroups ??= measure());
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    warn(`${name}: can't measure how many workgroups run at once, assuming ${fallback}: ${error.message}`);
    return fallback;
  }
}

/** A software adapter distributes workgroups over the processor's threads. */
function defaultParallelWorkgroups(kind: AdapterKind): number {
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

/**
 * The largest power of two, at least 2, of workgroups that take no longer than one. @throws DeviceError when the device
 * failed
 */
export function measureParallelWorkgroups(gpu: Gpu): number {
  const { queue, pipelines, buffers, clock } = gpu;
  const y = buffers.allocate("f32", MAX_GROUPS * THREADS);
  try {
    const program = pipelines.program(busy as unknown as Kernel);
    const pipeline = pipelines.pipeline(program, program.kernel);
    const group = buffers.group(program, { y });
    const dispatch = (groups: number) => queue.dispatch(program, pipeline, group, { groups, steps: STEPS });
    return findParallelWorkgroups((groups) => leastTime(gpu, RUNS, () => dispatch(groups)), clock.now);
  } finally {
    buffers.free(y);
  }
}

/**
 * The logic of `measureParallelWorkgroups`, from times alone.
 * @param time how long a number of workgroups takes, in ms
 * @param now the current time, in ms
 */
export function findParallelWorkgroups(time: (groups: number) => number, now: () => number): number {
  const start = now();
  let [last, one] = [Infinity, time(1)];
  const isWarm = (ms: number) => ms >= MAX_WARM_UP_MS || (ms >= WARM_UP_MS && Math.abs(one - last) <= REPEATS * last);
  while (!isWarm(now() - start)) {
    time(WARM_UP_GROUPS);
    [last, one] = [one, time(1)];
  }
  // The clock may still change, so one workgroup is timed again each time, and a failure is tried once more.
  const isNoLonger = (groups: number) => time(groups) <= NO_LONGER * time(1);
  let most = 2;
  while (most < MAX_GROUPS && (isNoLonger(2 * most) || isNoLonger(2 * most))) most *= 2;
  return most;
}
