/**
 * How the main thread tells the workers what to do: a ring of commands in memory shared by all threads. All workers
 * process the same commands in the same order. A command is one stage of a kernel, divided into items; any free worker
 * takes the next item, and none starts a command before the previous one is done.
 *
 *   submitted   number of commands the main thread has written        (workers wait for it to grow)
 *   completed   number of commands that are done                      (the workers wait for it)
 *   wanted      what `completed` is to be when the alarm is raised
 *   alarm       number of alarms                                      (the main thread waits for it)
 *   failed      0, or 1 + the kernel whose item threw first           (the message is in `errorText`)
 */

/** Capacity of the ring; commands that don't fit wait on the main thread. A training step has some 150. */
export const SLOTS = 512;
/** 32-bit words of a command: 16 for counters (a cache line), 32 for header and buffers, 48 for uniforms. */
const SLOT_WORDS = 96;
const SLOTS_AT = 64;
const ERROR_AT = SLOTS_AT + SLOTS * SLOT_WORDS;
const ERROR_BYTES = 4096;
/** Number of commands whose start and end are recorded, for `profile`. */
export const TIMED = 4096;
const TIMES_AT = ERROR_AT * 4 + ERROR_BYTES;

const SUBMITTED = 0;
const COMPLETED = 16;
const FAILED = 32;
const ERROR_LENGTH = 33;
const WANTED = 48;
const ALARM = 49;

const NEXT_ITEM = 0;
const ARRIVED = 1;
const KERNEL = 16;
const STAGE = 17;
const SHARED = 18;
const SCRATCH = 19;
const SCRATCH_BYTES = 20;
const BUFFERS = 24;
const UNIFORMS = 48;
export const MAX_BUFFERS = (UNIFORMS - BUFFERS) / 2;
export const MAX_UNIFORMS = (SLOT_WORDS - UNIFORMS) / 2;

/** Commands that are not kernels; a kernel's number is at least FIRST_KERNEL. */
export const CLOSE = 0;
/** Declares a kernel under the number `stage`: buffer 0 holds its declaration as JSON. */
export const DECLARE = 1;
export const FIRST_KERNEL = 2;

/** One stage of a kernel. Addresses are in bytes in the workers' WebAssembly memory, lengths in elements. */
export interface Command {
  readonly kernel: number;
  readonly stage: number;
  /** Address of the workspace common to all workers. */
  readonly shared: number;
  /** Address of worker 0's own workspace, and the distance in bytes from each worker's to the next. */
  readonly scratch: number;
  readonly scratchBytes: number;
  readonly addresses: readonly number[];
  readonly lengths: readonly number[];
  readonly uniforms: readonly number[];
}

/** A command's arguments in a worker: one object per kernel, refilled each time to avoid garbage. */
export interface Arguments {
  readonly addresses: Record<string, number>;
  readonly lengths: Record<string, number>;
  readonly uniforms: Record<string, number>;
  shared: number;
  scratch: number;
  scratchBytes: number;
}

export function noArguments(): Arguments {
  return { addresses: {}, lengths: {}, uniforms: {}, shared: 0, scratch: 0, scratchBytes: 0 };
}

export function createRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(TIMES_AT + TIMED * 16);
}

/** A thread's view of the ring. Sequence numbers are 32-bit and may wrap. */
export class Ring {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #error: Uint8Array;
  readonly #times: Float64Array;
  /** Main thread: what it waits for. */
  #waiting: { readonly target: number; readonly resolve: () => void }[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, ERROR_AT);
    this.#doubles = new Float64Array(memory, 0, ERROR_AT / 2);
    this.#error = new Uint8Array(memory, ERROR_AT * 4, ERROR_BYTES);
    this.#times = new Float64Array(memory, TIMES_AT, TIMED * 2);
  }

  get completed(): number {
    return Atomics.load(this.#words, COMPLETED);
  }

  /** Main thread: writes a command and wakes the workers. The caller ensures that there is room. */
  submit(sequence: number, command: Command): void {
    const at = slot(sequence);
    const words = this.#words;
    words[at + KERNEL] = command.kernel;
    words[at + STAGE] = command.stage;
    words[at + SHARED] = command.shared;
    words[at + SCRATCH] = command.scratch;
    words[at + SCRATCH_BYTES] = command.scratchBytes;
    for (let i = 0; i < command.addresses.length; i++) {
      words[at + BUFFERS + 2 * i] = command.addresses[i]!;
      words[at + BUFFERS + 2 * i + 1] = command.lengths[i]!;
    }
    for (let i = 0; i < command.uniforms.length; i++) {
      this.#doubles[(at + UNIFORMS) / 2 + i] = command.uniforms[i]!;
    }
    Atomics.store(words, SUBMITTED, (sequence + 1) | 0);
    Atomics.notify(words, SUBMITTED);
  }

  /**
   * Main thread: resolves when `completed` has reached `target`, or at `wake`. Never blocks. It is not told of every
   * command, since hearing of one takes as much time as a small kernel.
   */
  progress(target: number): Promise<void> {
    if (this.#hasReached(target)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ target, resolve });
      if (this.#waiting.length === 1) return void this.#watch();
      this.#arm();
      if (this.#hasReached(target)) this.#raise();
    });
  }

  async #watch(): Promise<void> {
    while (this.#waiting.length > 0) {
      const alarm = Atomics.load(this.#words, ALARM);
      this.#arm();
      // Looked at only now: what is completed from here on raises the alarm.
      const reached = this.#waiting.filter(({ target }) => this.#hasReached(target));
      this.#waiting = this.#waiting.filter((each) => !reached.includes(each));
      for (const { resolve } of reached) resolve();
      if (reached.length === 0) await this.#alarmAfter(alarm);
    }
  }

  #hasReached(target: number): boolean {
    return ((target - this.completed) | 0) <= 0;
  }

  /** Has the alarm raised at the nearest of the targets. */
  #arm(): void {
    const { completed } = this;
    const distances = this.#waiting.map(({ target }) => (target - completed) | 0).filter((distance) => distance > 0);
    Atomics.store(this.#words, WANTED, (completed + Math.min(...distances, 2 ** 30)) | 0);
  }

  #raise(): void {
    Atomics.add(this.#words, ALARM, 1);
    Atomics.notify(this.#words, ALARM);
  }

  async #alarmAfter(alarm: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, ALARM, alarm);
    if (!waiting.async) return;
    // Bun's event loop sleeps only while it knows of a pending event. Neither waitAsync nor an unreferenced worker
    // counts, so without this timer the main thread would spin and occupy a core.
    const alive = setInterval(() => {}, 2 ** 30);
    try {
      await waiting.value;
    } finally {
      clearInterval(alive);
    }
  }

  /** Main thread: blocks while `completed` is `seen`. */
  wait(seen: number): void {
    Atomics.wait(this.#words, COMPLETED, seen);
  }

  /** Main thread: ends `progress` even though nothing was completed. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve();
    this.#raise();
  }

  /** Main thread: the time of a completed command, from its first item to its last, in ms. */
  duration(sequence: number): number {
    const at = timed(sequence);
    return this.#times[at + 1]! - this.#times[at]!;
  }

  /** Main thread: the first error since the last call. */
  takeError(): { kernel: number; text: string } | undefined {
    const failed = Atomics.load(this.#words, FAILED);
    if (failed <= 0) return undefined;
    const text = new TextDecoder().decode(this.#error.slice(0, this.#words[ERROR_LENGTH]!));
    Atomics.store(this.#words, FAILED, 0);
    return { kernel: failed - 1, text };
  }

  /** Worker: blocks until command `sequence` is submitted. */
  await(sequence: number): void {
    while (Atomics.load(this.#words, SUBMITTED) === sequence) block(this.#words, SUBMITTED, sequence);
  }

  /** Worker: reads a command's addresses, lengths and uniforms, by the names in its kernel's declaration. */
  read(sequence: number, buffers: readonly string[], uniforms: readonly string[], into: Arguments): Arguments {
    const at = slot(sequence);
    const words = this.#words;
    into.shared = words[at + SHARED]! >>> 0;
    into.scratch = words[at + SCRATCH]! >>> 0;
    into.scratchBytes = words[at + SCRATCH_BYTES]! >>> 0;
    for (let i = 0; i < buffers.length; i++) {
      into.addresses[buffers[i]!] = words[at + BUFFERS + 2 * i]! >>> 0;
      into.lengths[buffers[i]!] = words[at + BUFFERS + 2 * i + 1]! >>> 0;
    }
    for (let i = 0; i < uniforms.length; i++) {
      into.uniforms[uniforms[i]!] = this.#doubles[(at + UNIFORMS) / 2 + i]!;
    }
    return into;
  }

  /** Worker: the command's kernel. */
  kernel(sequence: number): number {
    return this.#words[slot(sequence) + KERNEL]!;
  }

  /** Worker: the command's stage of that kernel. */
  stage(sequence: number): number {
    return this.#words[slot(sequence) + STAGE]!;
  }

  /** Worker: takes the next item. */
  take(sequence: number): number {
    const item = Atomics.add(this.#words, slot(sequence) + NEXT_ITEM, 1);
    if (item === 0) this.#times[timed(sequence)] = now();
    return item;
  }

  /** Worker: a barrier; returns when all workers have done their items. */
  finish(sequence: number, workers: number): void {
    const at = slot(sequence);
    const words = this.#words;
    if (Atomics.add(words, at + ARRIVED, 1) === workers - 1) {
      this.#times[timed(sequence) + 1] = now();
      words[at + NEXT_ITEM] = 0;
      words[at + ARRIVED] = 0;
      Atomics.store(words, COMPLETED, (sequence + 1) | 0);
      Atomics.notify(words, COMPLETED);
      if (Atomics.load(words, WANTED) === ((sequence + 1) | 0)) this.#raise();
      return;
    }
    while (Atomics.load(words, COMPLETED) === sequence) block(words, COMPLETED, sequence);
  }

  /** Worker: keeps the first error until the main thread takes it. */
  fail(kernel: number, text: string): void {
    // −1 while the message is being written, so that the main thread doesn't read half of it.
    if (Atomics.compareExchange(this.#words, FAILED, 0, -1) !== 0) return;
    const { written } = new TextEncoder().encodeInto(text.slice(0, ERROR_BYTES / 4), this.#error);
    this.#words[ERROR_LENGTH] = written;
    Atomics.store(this.#words, FAILED, kernel + 1);
  }
}

function timed(sequence: number): number {
  return ((sequence >>> 0) % TIMED) * 2;
}

/** In ms, by a clock common to all threads. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function slot(sequence: number): number {
  return SLOTS_AT + ((sequence >>> 0) % SLOTS) * SLOT_WORDS;
}

/** How often a worker polls before it sleeps: waking costs some 10 µs, as much as a small kernel. */
const SPINS = 2000;

function block(words: Int32Array, index: number, value: number): void {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.load(words, index) !== value) return;
    Atomics.pause();
  }
  Atomics.wait(words, index, value);
}
