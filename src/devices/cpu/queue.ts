/**
 * The main thread's end of the ring: numbers the kernels, holds back commands that don't fit, and frees memory once
 * commands no longer use it.
 */
import type { KernelTime } from "../../engine/backend.ts";
import { DeviceError } from "../../errors.ts";
import type { Heap } from "./heap.ts";
import {
  CLOSE,
  DECLARE,
  FIRST_KERNEL,
  MAX_BUFFERS,
  MAX_UNIFORMS,
  SLOTS,
  TIMED,
  type Command,
  type Ring,
} from "./ring.ts";
import type { Declaration } from "./worker.ts";

/** A kernel that the workers know. */
interface Declared {
  readonly name: string;
  readonly module: string;
  readonly buffers: object;
  readonly uniforms: object;
}

/** What the queue needs of a plan: the number of stages and the workspace. */
interface Workspace {
  readonly stages: readonly unknown[];
  readonly shared?: number;
  readonly scratch?: number;
}

const COPY: Declared = {
  name: "copy",
  module: import.meta.url,
  buffers: { from: "read", to: "write" },
  uniforms: { bytes: "u32" },
};
/** Each worker's scratch starts on its own page and grows by doubling, so that it is rarely reallocated. */
const roundUp = (bytes: number): number => 2 ** Math.ceil(Math.log2(Math.max(bytes, 65_536)));

export class Queue {
  readonly #heap: Heap;
  readonly #ring: Ring;
  readonly #threads: number;
  readonly #numbers = new Map<object, number>();
  readonly #names: string[] = [];
  /** Commands that didn't fit into the ring; [0] has number #submitted. */
  readonly #waiting: Command[] = [];
  #submitted = 0;
  #queued = 0;
  #pumping = false;
  /**
   * Memory that queued commands may still use, with the number of commands that must be completed before it is freed.
   */
  readonly #released: { address: number; after: number }[] = [];
  #scratch = { address: 0, bytes: 0 };
  #shared = { address: 0, bytes: 0 };
  #closed = false;
  /** Why no more commands will be completed. */
  #lost: DeviceError | undefined;
  /** What `profile` times: kernels' names, and the numbers of their stages' commands. */
  #profiled: { kernel: string; sequences: number[] }[] | undefined;

  constructor(heap: Heap, ring: Ring, threads: number) {
    this.#heap = heap;
    this.#ring = ring;
    this.#threads = threads;
  }

  /** Whether all commands are completed. */
  get idle(): boolean {
    return this.#ring.completed === this.#queued;
  }

  /** @throws DeviceError when the memory is full */
  allocate(bytes: number): number {
    const done = this.#ring.completed;
    while (this.#released[0] && ((this.#released[0].after - done) | 0) <= 0) {
      this.#heap.free(this.#released.shift()!.address);
    }
    return this.#heap.allocate(bytes);
  }

  /** Frees memory once everything queued so far is done. */
  free(address: number): void {
    if (this.idle) this.#heap.free(address);
    else this.#released.push({ address, after: this.#queued });
  }

  run(
    kernel: Declared,
    plan: Workspace,
    addresses: readonly number[],
    lengths: readonly number[],
    uniforms: readonly number[],
  ): void {
    const number = this.#numbers.get(kernel) ?? this.#declare(kernel);
    if (plan.shared) this.#shared = this.#atLeast(this.#shared, plan.shared);
    const scratchBytes = plan.scratch ? roundUp(plan.scratch) : 0;
    if (plan.scratch) this.#scratch = this.#atLeast(this.#scratch, scratchBytes * this.#threads);
    const sequences: number[] = [];
    if (kernel !== COPY) this.#profiled?.push({ kernel: kernel.name, sequences });
    for (let stage = 0; stage < plan.stages.length; stage++) {
      sequences.push(this.#queued);
      this.#add({
        kernel: number,
        stage,
        shared: this.#shared.address,
        scratch: this.#scratch.address,
        scratchBytes,
        addresses,
        lengths,
        uniforms,
      });
    }
  }

  /** @throws DeviceError if a kernel failed, or there are too many to time */
  async profile(work: () => void): Promise<KernelTime[]> {
    await this.done();
    const first = this.#queued;
    const kernels = (this.#profiled = [] as { kernel: string; sequences: number[] }[]);
    try {
      work();
    } finally {
      this.#profiled = undefined;
    }
    const commands = (this.#queued - first) | 0;
    await this.done();
    if (commands > TIMED)
      throw new DeviceError(
        `cpu: profile: ${commands} commands, but at most ${TIMED} can be timed at once: profile less work`,
      );
    return kernels.map(({ kernel, sequences }) => ({
      kernel,
      ms: sequences.reduce((sum, sequence) => sum + this.#ring.duration(sequence), 0),
    }));
  }

  copy(from: number, to: number, bytes: number): void {
    this.run(COPY, { stages: [0] }, [from, to], [bytes, bytes], [bytes]);
  }

  /** Resolves when everything queued so far is done. @throws DeviceError if a kernel failed */
  async done(): Promise<void> {
    const target = this.#queued;
    while (((target - this.#ring.completed) | 0) > 0) {
      if (this.#lost) throw this.#lost;
      await this.#ring.progress(target);
    }
    this.check();
  }

  /** As `done`, but blocks. */
  wait(): void {
    for (let done = this.#ring.completed; !this.idle; done = this.#ring.completed) {
      if (this.#lost) throw this.#lost;
      this.#ring.wait(done);
      this.#submit();
    }
    this.check();
  }

  /** @throws DeviceError if a kernel failed since the last call */
  check(): void {
    const error = this.#ring.takeError();
    if (error) throw new DeviceError(`cpu: kernel ${this.#names[error.kernel] ?? "?"} failed: ${error.text}`);
  }

  /** Ends the workers' loops after everything queued. */
  async close(): Promise<void> {
    if (this.#closed || this.#lost) return;
    this.#add({
      kernel: CLOSE,
      stage: 0,
      shared: 0,
      scratch: 0,
      scratchBytes: 0,
      addresses: [],
      lengths: [],
      uniforms: [],
    });
    this.#closed = true;
    await this.done();
  }

  /** @throws DeviceError when nothing more can be run */
  assertOpen(): void {
    if (this.#lost) throw this.#lost;
    if (this.#closed) throw new DeviceError("cpu: the backend is closed");
  }

  /** Called when a worker is gone: commands not yet completed never will be. */
  abandon(reason: DeviceError): void {
    if (this.#closed && this.idle) return;
    this.#lost ??= reason;
    this.#ring.wake();
  }

  #declare(kernel: Declared): number {
    const { name, module, buffers, uniforms } = kernel;
    const declaration: Declaration = {
      name,
      module,
      buffers: Object.keys(buffers),
      uniforms: Object.keys(uniforms),
    };
    if (declaration.buffers.length > MAX_BUFFERS || declaration.uniforms.length > MAX_UNIFORMS) {
      throw new DeviceError(
        `cpu: kernel ${name} has ${declaration.buffers.length} buffers and ${declaration.uniforms.length} uniforms; ` +
          `the limits are ${MAX_BUFFERS} and ${MAX_UNIFORMS}`,
      );
    }
    const number = FIRST_KERNEL + this.#numbers.size;
    const text = new TextEncoder().encode(JSON.stringify(declaration));
    const address = this.allocate(text.length);
    new Uint8Array(this.#heap.memory.buffer, address, text.length).set(text);
    this.#add({
      kernel: DECLARE,
      stage: number,
      shared: 0,
      scratch: 0,
      scratchBytes: 0,
      addresses: [address],
      lengths: [text.length],
      uniforms: [],
    });
    this.free(address);
    this.#numbers.set(kernel, number);
    this.#names[number] = name;
    return number;
  }

  #atLeast(area: { address: number; bytes: number }, bytes: number): { address: number; bytes: number } {
    if (bytes <= area.bytes) return area;
    if (area.bytes > 0) this.free(area.address);
    return { address: this.allocate(bytes), bytes };
  }

  #add(command: Command): void {
    this.assertOpen();
    this.#queued = (this.#queued + 1) | 0;
    this.#waiting.push(command);
    this.#submit();
    if (this.#waiting.length > 0 && !this.#pumping) void this.#pump();
  }

  /** Moves commands to the ring while there is room. */
  #submit(): void {
    const done = this.#ring.completed;
    let taken = 0;
    while (taken < this.#waiting.length && ((this.#submitted - done) | 0) < SLOTS) {
      this.#ring.submit(this.#submitted, this.#waiting[taken++]!);
      this.#submitted = (this.#submitted + 1) | 0;
    }
    this.#waiting.splice(0, taken);
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    while (this.#waiting.length > 0 && !this.#lost) {
      // Until half of the ring is free, so that the main thread seldom wakes.
      await this.#ring.progress((this.#submitted - SLOTS / 2) | 0);
      this.#submit();
    }
    this.#pumping = false;
  }
}
