/**
 * Chooses the WGSL that computes a kernel: its own or a variant's. A page can't be kept waiting in the middle of a step,
 * so a kernel runs its own until `tune` is called, which times it and its variants at the sizes that it has run with.
 * Nothing is kept for the next visit: workers have no storage that could be read at once.
 */
import { asView, type Buffer, type BufferView } from "../../engine/backend.ts";
import { elementType, type Variant } from "../../engine/kernel.ts";
import { DeviceError, DeviceLostError } from "../../errors.ts";
import { candidatesOf, shapeOf, type Pipeline, type Program } from "../gpu/pipelines.ts";
import type { WebGpuHandles } from "./api.ts";
import type { Buffers } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Pipelines } from "./pipelines.ts";
import type { Queue } from "./queue.ts";

/** No shape is begun after this long. All shapes of a network take less. */
const BUDGET_MS = 5000;
/** Candidates are timed in rounds, so that a rising clock favours none. The first is a single run. */
const ROUNDS = 4;
/** In a round, a candidate runs for about this long, at most so many times: a page's clock has steps of 0.1 ms. */
const ROUND_MS = 10;
const ROUND_RUNS = 64;
/** A candidate slower than the fastest by this factor is not timed again. */
const FAR = 1.5;
/** A variant must be faster than those before it by this factor: less may be noise. */
const GAIN = 1.05;

type Uniforms = Readonly<Record<string, number>>;

/** A kernel at sizes for which it is not known which of the candidates is the fastest. */
interface Untimed {
  readonly program: Program<WebGpuHandles>;
  readonly shape: string;
  readonly candidates: readonly Variant[];
  readonly uniforms: Uniforms;
  /** Of its buffers, in elements. */
  readonly lengths: Readonly<Record<string, number>>;
}

/** The parts of the backend that it works with. */
interface Gpu {
  readonly device: Device;
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  readonly buffers: Buffers;
}

export class Tuner {
  readonly #gpu: Gpu;
  #untimed: Untimed[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The pipeline to run. @throws DeviceError when two kernels have the same name */
  choose(
    program: Program<WebGpuHandles>,
    given: Readonly<Record<string, Buffer | BufferView>>,
    uniforms: Uniforms,
  ): Pipeline<WebGpuHandles> {
    const { kernel, chosen } = program;
    const { pipelines } = this.#gpu;
    if (!kernel.variants) return pipelines.pipeline(program, kernel);
    const shape = shapeOf(program, uniforms);
    const known = chosen.get(shape);
    if (known) return known;
    const candidates = candidatesOf(kernel, uniforms);
    if (candidates.length > 1) {
      const lengths = Object.fromEntries(program.buffers.map((name) => [name, asView(given[name]!).length]));
      this.#untimed.push({ program, shape, candidates, uniforms: { ...uniforms }, lengths });
    }
    const own = pipelines.pipeline(program, kernel);
    chosen.set(shape, own);
    return own;
  }

  /** Times what has run and was not timed yet. @throws DeviceError when the device failed */
  async tune(): Promise<void> {
    const { device, queue, pipelines } = this.#gpu;
    const start = performance.now();
    queue.flush();
    // Failures of what was queued before are no candidate's.
    await device.workDone();
    while (this.#untimed.length > 0 && performance.now() - start < BUDGET_MS) {
      const each = this.#untimed.shift()!;
      const fastest = await this.#fastest(each);
      each.program.chosen.set(each.shape, pipelines.pipeline(each.program, fastest));
    }
  }

  async #fastest(untimed: Untimed): Promise<Variant> {
    const { program, candidates } = untimed;
    const best = new Map<Variant, number>();
    const scratch = await this.#scratch(untimed);
    if (!scratch) return program.kernel;
    try {
      // The first run compiles it.
      for (const candidate of candidates) {
        if ((await this.#time(untimed, candidate, scratch, 1)) !== undefined) best.set(candidate, Infinity);
      }
      for (let round = 0; best.size > 1 && round < ROUNDS; round++) {
        const least = Math.min(...best.values());
        for (const [candidate, before] of best) {
          if (before > FAR * least) continue;
          const runs = Math.max(1, Math.min(Math.ceil(ROUND_MS / before), ROUND_RUNS));
          best.set(candidate, Math.min(before, (await this.#time(untimed, candidate, scratch, runs)) ?? Infinity));
        }
      }
    } finally {
      for (const buffer of Object.values(scratch)) this.#gpu.buffers.free(this.#gpu.buffers.own(buffer, "free"));
    }
    let fastest: Variant = program.kernel;
    for (const [candidate, ms] of best) if (ms * GAIN < best.get(fastest)!) fastest = candidate;
    return fastest;
  }

  /** Buffers like the kernel's, whose own may be gone, or must not change; undefined if there is not enough memory. */
  async #scratch({ program, lengths }: Untimed): Promise<Record<string, Buffer> | undefined> {
    const { device, buffers } = this.#gpu;
    const scratch: Record<string, Buffer> = {};
    try {
      for (const [name, spec] of Object.entries(program.kernel.buffers)) {
        scratch[name] = buffers.allocate(elementType(spec), lengths[name]!);
      }
      await device.settle("allocating memory", Promise.resolve());
      return scratch;
    } catch (error) {
      for (const buffer of Object.values(scratch)) buffers.free(buffers.own(buffer, "free"));
      if (error instanceof DeviceError && !(error instanceof DeviceLostError)) return undefined;
      throw error;
    }
  }

  /** The average time of a number of runs, in ms; undefined for a variant that this device can't run. */
  async #time(
    { program, uniforms }: Untimed,
    candidate: Variant,
    scratch: Readonly<Record<string, Buffer>>,
    runs: number,
  ): Promise<number | undefined> {
    const { device, queue, pipelines, buffers } = this.#gpu;
    try {
      const pipeline = pipelines.pipeline(program, candidate);
      const group = buffers.group(program, scratch);
      const start = performance.now();
      for (let run = 0; run < runs; run++) queue.dispatch(program, pipeline, group, uniforms);
      queue.flush();
      await device.workDone("timing kernels");
      return (performance.now() - start) / runs;
    } catch (error) {
      // Larger tiles may need more threads or workgroup memory than this device has.
      if (error instanceof DeviceError && !(error instanceof DeviceLostError) && candidate !== program.kernel) {
        return undefined;
      }
      throw error;
    }
  }
}
