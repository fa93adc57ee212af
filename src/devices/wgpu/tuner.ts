/**
 * Chooses the WGSL that computes a kernel: its own or a variant's. The first time a kernel runs with a shape, the
 * candidates that fit are timed on the actual buffers, which blocks for some milliseconds; the fastest is remembered
 * for this device. So is the fastest of several ways to compute the same with different kernels.
 *
 * Variants sum in the same order, so results don't change as long as a driver fuses multiplications and additions in
 * all of them or in none. To be certain, switch tuning off: then kernels run their own WGSL.
 */
import { asView, type Buffer, type BufferView } from "../../engine/backend.ts";
import { access, type Kernel, type Variant } from "../../engine/kernel.ts";
import { DeviceError, DeviceLostError, DeviceMemoryError } from "../../errors.ts";
import { candidatesOf, shapeOf, type Pipeline as AnyPipeline, type Program as AnyProgram } from "../gpu/pipelines.ts";
import type { Gpu } from "./gpu.ts";
import type { Measurements } from "./measurements.ts";
import type { WgpuHandles } from "./handles.ts";
import { leastTime } from "./timers.ts";

/** After this long, a process stops measuring. All shapes of a network take less. */
const BUDGET_MS = 5000;
/** A GPU idle for IDLE_MS may have lowered its clock, and is kept busy for WARM_UP_MS before timing. */
const IDLE_MS = 100;
const WARM_UP_MS = 50;
/** Candidates are timed in rounds, so that a rising clock favours none. */
const ROUNDS = 4;
/** No round begins after this long: on a slow GPU few are enough, since noise is relatively smaller. */
const SHAPE_MS = 200;
/** In a round, a candidate runs for at least ROUND_MS, but at most ROUND_RUNS times. */
const ROUND_MS = 1;
const ROUND_RUNS = 16;
/** A candidate slower than the fastest by this factor is not timed again. */
const FAR = 1.5;
/** A variant must be faster than those before it by this factor: less may be noise. */
const GAIN = 1.02;

type Program = AnyProgram<WgpuHandles>;
type Pipeline = AnyPipeline<WgpuHandles>;
type Given = Readonly<Record<string, Buffer | BufferView>>;
type Uniforms = Readonly<Record<string, number>>;

export class Tuner {
  readonly #gpu: Gpu;
  readonly #measurements: Measurements | undefined;
  #spentMs = 0;
  /** When the last measurement ended. */
  #lastEnd = -Infinity;

  /** @param measurements the device's; undefined: nothing is timed, kernels run their own WGSL */
  constructor(gpu: Gpu, measurements: Measurements | undefined) {
    this.#gpu = gpu;
    this.#measurements = measurements;
  }

  /** The pipeline to run. @throws DeviceError when the kernel's own WGSL doesn't compile or run */
  choose(program: Program, given: Given, uniforms: Uniforms): Pipeline {
    const { kernel, chosen } = program;
    const { pipelines } = this.#gpu;
    if (!this.#measurements || !kernel.variants) return pipelines.pipeline(program, kernel);
    const shape = shapeOf(program, uniforms);
    let pipeline = chosen.get(shape);
    if (!pipeline) {
      pipeline = pipelines.pipeline(program, this.#decide(this.#measurements, program, shape, given, uniforms));
      chosen.set(shape, pipeline);
    }
    return pipeline;
  }

  #decide(measurements: Measurements, program: Program, shape: string, given: Given, uniforms: Uniforms): Variant {
    const { kernel } = program;
    const candidates = candidatesOf(kernel, uniforms);
    const known = measurements.choice(kernel, shape)?.fastest;
    const chosen = candidates.find(({ name }) => name === known);
    if (chosen) return chosen;
    if (candidates.length === 1 || this.#spentMs > BUDGET_MS) return kernel;
    const { now } = this.#gpu.clock;
    const start = now();
    const times = this.#time(program, candidates, given, uniforms);
    this.#lastEnd = now();
    this.#spentMs += this.#lastEnd - start;
    return times ? keepFastest(measurements, kernel, shape, times) : kernel;
  }

  /**
   * As `Backend.fastest`. The process's budget does not count here: what it left for the next process could change the
   * bits of that.
   */
  fastest(
    measurements: Measurements,
    kernel: Kernel,
    sizes: Readonly<Record<string, number>>,
    ways: Readonly<Record<string, () => void>>,
  ): string | undefined {
    const named = Object.entries(sizes).map(([name, size]) => `${name}=${size}`);
    const shape = `way: ${named.join(" ")}`;
    const known = measurements.choice(kernel, shape)?.fastest;
    const candidates = Object.entries(ways).map(([name, run]) => ({ name, run }));
    if (candidates.length === 0 || candidates.some(({ name }) => name === known)) return known;
    const { queue, device, clock } = this.#gpu;
    queue.flush();
    device.wait();
    const warmUpMs = clock.now() - this.#lastEnd > IDLE_MS ? WARM_UP_MS : 0;
    const time = ({ run }: { readonly run: () => void }, runs: number) => leastTime(this.#gpu, runs, run);
    // Each way with the fastest variants of its kernels, whatever the budget for others.
    const spentMs = this.#spentMs;
    this.#spentMs = 0;
    const times = timeCandidates(candidates, time, clock.now, warmUpMs);
    this.#spentMs = spentMs;
    this.#lastEnd = clock.now();
    return keepFastest(measurements, kernel, shape, times).name;
  }

  /** The best time of each candidate that runs, in ms; undefined if there is not enough memory to time them. */
  #time(
    program: Program,
    candidates: readonly Variant[],
    given: Given,
    uniforms: Uniforms,
  ): Map<Variant, number> | undefined {
    const { queue, device, buffers } = this.#gpu;
    // Checks the buffers before anything depends on them.
    buffers.group(program, given);
    queue.flush();
    device.wait();
    const scratch = this.#scratch(program, given);
    if (!scratch) return undefined;
    const { now } = this.#gpu.clock;
    const time = (candidate: Variant, runs: number) =>
      this.#leastTime(program, candidate, { ...given, ...scratch }, uniforms, runs);
    try {
      return timeCandidates(candidates, time, now, now() - this.#lastEnd > IDLE_MS ? WARM_UP_MS : 0);
    } finally {
      for (const buffer of Object.values(scratch)) buffers.free(buffers.own(buffer, "free"));
    }
  }

  /**
   * Scratch memory in place of buffers that the kernel updates, which must change only once. Buffers that it only
   * overwrites need no replacement. Undefined when there is not enough memory.
   */
  #scratch({ kernel }: Program, given: Given): Record<string, Buffer> | undefined {
    const { buffers } = this.#gpu;
    const scratch: Record<string, Buffer> = {};
    try {
      for (const [name, spec] of Object.entries(kernel.buffers)) {
        if (access(spec) !== "update") continue;
        const { buffer, length } = asView(given[name]!);
        scratch[name] = buffers.allocate(buffer.type, length);
      }
      return scratch;
    } catch (error) {
      for (const buffer of Object.values(scratch)) buffers.free(buffers.own(buffer, "free"));
      if (error instanceof DeviceMemoryError) return undefined;
      throw error;
    }
  }

  /** The minimum time of `runs` runs, in ms; undefined for a variant that this device can't run. */
  #leastTime(program: Program, candidate: Variant, given: Given, uniforms: Uniforms, runs: number): number | undefined {
    const { queue, pipelines, buffers } = this.#gpu;
    try {
      const pipeline = pipelines.pipeline(program, candidate);
      const group = buffers.group(program, given);
      return leastTime(this.#gpu, runs, () => queue.dispatch(program, pipeline, group, uniforms));
    } catch (error) {
      // Larger tiles may need more threads or workgroup memory than this device has.
      const isUnfit = error instanceof DeviceError && !(error instanceof DeviceLostError);
      if (isUnfit && candidate !== program.kernel) return undefined;
      throw error;
    }
  }
}

/** The fastest candidate, remembered with all times. The first is replaced only by one that is clearly faster. */
function keepFastest<Candidate extends { readonly name: string }>(
  measurements: Measurements,
  kernel: Kernel,
  shape: string,
  times: ReadonlyMap<Candidate, number>,
): Candidate {
  let fastest = times.keys().next().value!;
  for (const [candidate, ms] of times) if (ms * GAIN < times.get(fastest)!) fastest = candidate;
  const ms = Object.fromEntries([...times].map(([{ name }, ms]) => [name, Number(ms.toPrecision(4))]));
  measurements.add(kernel, shape, { fastest: fastest.name, ms });
  return fastest;
}

/**
 * The minimum time of each candidate that runs, in ms.
 * @param time the minimum time of a number of runs of a candidate; undefined for one that can't run
 * @param now the current time, in ms
 * @param warmUpMs how long the first candidate runs before any is timed
 */
export function timeCandidates<Candidate>(
  candidates: readonly Candidate[],
  time: (candidate: Candidate, runs: number) => number | undefined,
  now: () => number,
  warmUpMs: number,
): Map<Candidate, number> {
  const best = new Map<Candidate, number>();
  /** Times a candidate once more; returns whether it runs. */
  const run = (candidate: Candidate): boolean => {
    const before = best.get(candidate);
    const runs = before === undefined ? 1 : Math.min(Math.ceil(ROUND_MS / before), ROUND_RUNS);
    const ms = time(candidate, runs);
    if (ms !== undefined) best.set(candidate, Math.min(ms, before ?? Infinity));
    return ms !== undefined;
  };
  // The first run of each also compiles it, while the clock may fall, so it rules out no candidate.
  let left = candidates.filter(run);
  const warmUpStart = now();
  while (now() - warmUpStart < warmUpMs) run(left[0]!);
  const start = now();
  for (let round = 0; left.length > 1 && round < ROUNDS && (round === 0 || now() - start < SHAPE_MS); round++) {
    left.forEach(run);
    const fastest = Math.min(...best.values());
    left = left.filter((candidate) => best.get(candidate)! <= FAR * fastest);
  }
  return best;
}
