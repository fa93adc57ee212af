/**
 * Which WGSL computes a kernel: its own or a variant's. The first time that a kernel is run with a shape, those that fit
 * are timed on the buffers at hand, which blocks for some milliseconds; the fastest is remembered for this device.
 *
 * It does not change results as long as a driver fuses multiplications and additions in all of them or in none: variants
 * sum in the same order. Where that must be certain, tuning is switched off, and the kernel's own WGSL runs.
 */
import { asView, type Buffer, type BufferView } from "../../engine/backend.ts";
import { access, type Variant } from "../../engine/kernel.ts";
import { DeviceError, DeviceLostError, DeviceMemoryError } from "../../errors.ts";
import type { Measurements } from "./measurements.ts";
import type { Parts } from "./parts.ts";
import type { Pipeline, Program } from "./pipelines.ts";
import { leastTime } from "./timers.ts";

/** A process measures for so long, then takes what it knows. All shapes of a network take less. */
const BUDGET_MS = 5000;
/** A GPU that had nothing to do for so long may have left its clock, and is kept busy for so long before it is timed. */
const IDLE_MS = 100;
const WARM_UP_MS = 50;
/** Each candidate is timed in so many rounds, so that a clock that speeds up in the meantime favours none. */
const ROUNDS = 4;
/** No further round begins after so long: on a slow GPU few are enough, and noise a smaller part. */
const SHAPE_MS = 200;
/** How long a round of a candidate is to take, at least; and how often it runs, at most. */
const ROUND_MS = 1;
const ROUND_RUNS = 16;
/** A candidate that is so many times slower than the fastest is not timed again. */
const FAR = 1.5;
/** A variant must be faster by this factor than those before it: less may be noise. */
const GAIN = 1.02;

type Given = Readonly<Record<string, Buffer | BufferView>>;
type Uniforms = Readonly<Record<string, number>>;

export class Tuner {
  readonly #parts: Parts;
  readonly #measurements: Measurements | undefined;
  #spentMs = 0;
  /** When the last measurement ended. */
  #lastEnd = -Infinity;

  /** @param measurements what is known of the device; undefined: nothing is timed, kernels run their own WGSL */
  constructor(parts: Parts, measurements: Measurements | undefined) {
    this.#parts = parts;
    this.#measurements = measurements;
  }

  /** What is to run. @throws DeviceError when the kernel's own WGSL does not compile or run */
  choose(program: Program, given: Given, uniforms: Uniforms): Pipeline {
    const { kernel, chosen } = program;
    const { pipelines } = this.#parts;
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
    const candidates = [kernel, ...kernel.variants!.filter(({ fits }) => !fits || fits(uniforms))];
    const known = measurements.choice(kernel, shape)?.fastest;
    const chosen = candidates.find(({ name }) => name === known);
    if (chosen) return chosen;
    if (candidates.length === 1 || this.#spentMs > BUDGET_MS) return kernel;
    const { now } = this.#parts.clock;
    const start = now();
    const times = this.#time(program, candidates, given, uniforms);
    this.#lastEnd = now();
    this.#spentMs += this.#lastEnd - start;
    if (!times) return kernel;
    let fastest: Variant = kernel;
    for (const [candidate, ms] of times) if (ms * GAIN < times.get(fastest)!) fastest = candidate;
    const ms = Object.fromEntries([...times].map(([{ name }, ms]) => [name, Number(ms.toPrecision(4))]));
    measurements.add(kernel, shape, { fastest: fastest.name, ms });
    return fastest;
  }

  /** The best time of each candidate that runs, in ms; undefined where there is no memory for it. */
  #time(
    program: Program,
    candidates: readonly Variant[],
    given: Given,
    uniforms: Uniforms,
  ): Map<Variant, number> | undefined {
    const { queue, device, buffers } = this.#parts;
    // Finds what is wrong with the buffers before anything is made of them.
    buffers.group(program, given);
    queue.flush();
    device.wait();
    const scratch = this.#scratch(program, given);
    if (!scratch) return undefined;
    const { now } = this.#parts.clock;
    const time = (candidate: Variant, runs: number) =>
      this.#leastTime(program, candidate, { ...given, ...scratch }, uniforms, runs);
    try {
      return timeCandidates(candidates, time, now, now() - this.#lastEnd > IDLE_MS ? WARM_UP_MS : 0);
    } finally {
      for (const buffer of Object.values(scratch)) buffers.free(buffers.own(buffer, "free"));
    }
  }

  /**
   * Memory in place of what the kernel updates, which must change only once. What it overwrites is as good as memory of
   * its own. Undefined when there is not enough.
   */
  #scratch({ kernel }: Program, given: Given): Record<string, Buffer> | undefined {
    const { buffers } = this.#parts;
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

  /** The least time of some runs, in ms; undefined for a variant that this device does not run. */
  #leastTime(program: Program, candidate: Variant, given: Given, uniforms: Uniforms, runs: number): number | undefined {
    const { queue, pipelines, buffers } = this.#parts;
    try {
      const pipeline = pipelines.pipeline(program, candidate);
      const group = buffers.group(program, given);
      return leastTime(this.#parts, runs, () => queue.dispatch(program, pipeline, group, uniforms));
    } catch (error) {
      // Larger tiles may want more threads or workgroups than this device has.
      const isUnfit = error instanceof DeviceError && !(error instanceof DeviceLostError);
      if (isUnfit && candidate !== program.kernel) return undefined;
      throw error;
    }
  }
}

/**
 * The least time of each candidate that runs, in ms.
 * @param time the least time of so many runs of a candidate; undefined for one that does not run
 * @param now the time, in ms
 * @param warmUpMs how long the first candidate runs before any is timed
 */
export function timeCandidates<Candidate>(
  candidates: readonly Candidate[],
  time: (candidate: Candidate, runs: number) => number | undefined,
  now: () => number,
  warmUpMs: number,
): Map<Candidate, number> {
  const best = new Map<Candidate, number>();
  /** Times a candidate once more, and returns whether it runs. */
  const run = (candidate: Candidate): boolean => {
    const before = best.get(candidate);
    const runs = before === undefined ? 1 : Math.min(Math.ceil(ROUND_MS / before), ROUND_RUNS);
    const ms = time(candidate, runs);
    if (ms !== undefined) best.set(candidate, Math.min(ms, before ?? Infinity));
    return ms !== undefined;
  };
  // The first run of each also compiles it, while the device may cool down: it must not count against anyone.
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

/** What of the uniforms decides how long a kernel takes: sizes, which are whole numbers. */
function shapeOf({ uniforms: specs }: Program, uniforms: Uniforms): string {
  let shape = "";
  for (const { name, isFloat } of specs) if (!isFloat) shape += `${name}=${uniforms[name]} `;
  return shape.trimEnd();
}
