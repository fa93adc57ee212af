/**
 * The ranks of a training: processes that a launcher of MPI started together, on one machine or many. A process that was
 * started alone is rank 0 of 1, and needs no MPI.
 */
import { ptr } from "bun:ffi";
import { hostname } from "node:os";
import { AlexNetError, DeviceError, RankError } from "../errors.ts";
import { launcherOf, type Memory } from "../native/mpi.ts";
import { exitThroughC } from "../native/pmi.ts";
// Not from the worker itself: a module that sets `self.onmessage` keeps the main thread going for ever.
import { Pulse, type Answer, type Order, type Setup } from "./orders.ts";

/** A message to be sent, without its number. */
type Unnumbered = Order extends infer O ? (O extends { id: number } ? Omit<O, "id"> : never) : never;

/** What the ranks do together. All ranks must call the same methods in the same order. */
export interface Ranks {
  readonly rank: number;
  readonly size: number;
  /** Which one it is of how many on its machine. */
  readonly local: { readonly rank: number; readonly size: number };
  /** For people: what carries the messages; undefined for one alone. */
  readonly mpi?: string;
  /**
   * Bytes of numbers that this rank has sent so far, as they are counted for algorithms that send no more than they must:
   * of K ranks' n bytes, a sum takes 2n(K − 1)/K, a block of a sum n(K − 1)/K; collecting n bytes of each takes n(K − 1).
   */
  readonly sentBytes: number;
  /** Replaces all numbers, once they are there, by their sums over all ranks: the same bits on each. */
  sum(arrays: Promise<readonly (Float32Array | Float64Array)[]>): Promise<void>;
  /** Replaces what is in these arrays by what rank 0 has in them. */
  broadcast(arrays: readonly Float32Array[]): Promise<void>;
  /** Fills `all` with the numbers of every rank, one behind the other in the order of ranks, equally many of each. */
  collect(own: Promise<Float32Array>, all: Float32Array): Promise<void>;
  /** Fills `own` with this rank's block of the sums over all ranks of `all`, which falls into as many equal blocks. */
  sumBlock(all: Promise<Float32Array>, own: Float32Array): Promise<void>;
  /** The bytes of every rank, in the order of ranks; their lengths may differ. */
  gather(bytes: Uint8Array): Promise<readonly Uint8Array[]>;
  /** What rank 0 makes; the others don't call `make`. As JSON has it. */
  share<T>(make: () => T | Promise<T>): Promise<T>;
  /** Tells the others that this rank can't go on. @returns the error, which names the rank */
  fail(error: unknown): unknown;
  /** Parts from the others, once all have come here. */
  close(): Promise<void>;
}

/** The only one. */
export const ALONE: Ranks = {
  rank: 0,
  size: 1,
  local: { rank: 0, size: 1 },
  sentBytes: 0,
  sum: async (arrays) => void (await arrays),
  collect: async (own, all) => all.set(await own),
  sumBlock: async (all, own) => own.set(await all),
  broadcast: async () => {},
  gather: async (bytes) => [bytes],
  share: async (make) => make(),
  fail: (error) => error,
  close: async () => {},
};

/** The main thread shows this often that it is alive. */
const BEAT_MS = 250;
/** The others may be busy for so long before they start: with downloads, say. */
const START_MS = 300_000;
/** How long a process that ends early waits for MPI to end the others. */
const ABORT_MS = 3000;

/**
 * The ranks that this process is one of; `ALONE` unless a launcher started several.
 * @throws DeviceError when there is no MPI to reach the others by
 */
export async function openRanks(): Promise<Ranks> {
  const launcher = launcherOf();
  if (!launcher || launcher.size === 1) return ALONE;
  const pulse = new SharedArrayBuffer(16);
  const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
  const link = new Link(worker, new Int32Array(pulse));
  const { rank, size, mpi } = await link.start({ launcher, pulse });
  if (size === 1) {
    await link.close();
    return ALONE;
  }
  const gather = (bytes: Uint8Array) => gathered(link, size, bytes);
  const host = new TextEncoder().encode(hostname());
  const hosts = (await gather(host)).map((name) => new TextDecoder().decode(name));
  const neighbours = hosts.flatMap((name, other) => (name === hosts[rank] ? [other] : []));
  let sentBytes = 0;
  return {
    ...{ rank, size, mpi },
    local: { rank: neighbours.indexOf(rank), size: neighbours.length },
    get sentBytes() {
      return sentBytes;
    },
    async sum(arrays) {
      await link.order(arrays.then((all) => [{ type: "sum", of: typeOf(all), parts: all.map(memory) }, all]));
      for (const { byteLength } of await arrays) sentBytes += (2 * byteLength * (size - 1)) / size;
    },
    async collect(own, all) {
      await link.order(own.then((from) => [gatherOrder(from, all), [from, all]]));
      sentBytes += (all.byteLength * (size - 1)) / size;
    },
    async sumBlock(all, own) {
      await link.order(all.then((from) => [{ type: "sumBlock", from: ptr(from), to: memory(own) }, [from, own]]));
      sentBytes += own.byteLength * (size - 1);
    },
    async broadcast(arrays) {
      const parts = arrays.map((array) => ({ address: ptr(array), length: array.byteLength }));
      await link.order(Promise.resolve([{ type: "broadcast", parts }, arrays]));
    },
    gather,
    async share<T>(make: () => T | Promise<T>): Promise<T> {
      const text = rank === 0 ? JSON.stringify((await make()) ?? null) : "";
      const [first] = await gather(new TextEncoder().encode(text));
      return JSON.parse(new TextDecoder().decode(first)) as T;
    },
    fail(error) {
      // The news came from another rank.
      if (error instanceof RankError || !(error instanceof Error)) return error;
      error.message = `rank ${rank} of ${size} (${hosts[rank]}): ${error.message}`;
      link.fail(error.message);
      return error;
    },
    close: () => link.close(),
  };
}

/** The main thread's end of the worker. */
class Link {
  readonly #worker: Worker;
  readonly #pulse: Int32Array;
  /** What is under way, with the memory that it works on. */
  readonly #waiting = new Map<number, PromiseWithResolvers<void> & { readonly kept: unknown }>();
  readonly #ready = Promise.withResolvers<Extract<Answer, { type: "ready" }>>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #timer: Timer;
  readonly #onExit = (code: number) => this.#abort(code);
  #failure: AlexNetError | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #next = 0;

  constructor(worker: Worker, pulse: Int32Array) {
    this.#worker = worker;
    this.#pulse = pulse;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#take(data);
    // The timer keeps the process going until the ranks have parted; a worker would for ever.
    worker.unref();
    worker.onerror = ({ message }) => this.#give(new DeviceError(`MPI's thread ended: ${message}`));
    this.#timer = setInterval(() => Atomics.add(pulse, Pulse.beats, 1), BEAT_MS);
  }

  async start(setup: Setup): Promise<Extract<Answer, { type: "ready" }>> {
    const late = () =>
      this.#give(new DeviceError(`the other ranks have not come within ${START_MS / 1000} s: see what they are doing`));
    const timer = setTimeout(late, START_MS);
    this.#closed.promise.catch(() => {});
    this.#worker.postMessage(setup);
    try {
      const ready = await this.#ready.promise;
      process.on("exit", this.#onExit);
      return ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Has something done when its turn comes: orders begin in the order of these calls, on every rank, whichever of them is
   * ready first. The memory they name is kept until they are done.
   */
  async order(made: Promise<readonly [order: Unnumbered, kept: unknown]>): Promise<void> {
    const id = this.#next++;
    const settle = Promise.withResolvers<void>();
    const begun = Promise.all([made, this.#last]).then(([[order, kept]]) => {
      if (this.#failure) throw this.#failure;
      this.#waiting.set(id, { ...settle, kept });
      this.#worker.postMessage({ ...order, id } as Order);
    });
    // What fails before its turn is told to who ordered it; the next ones fail by themselves.
    this.#last = begun.catch(() => {});
    await begun;
    await settle.promise;
  }

  fail(line: string): void {
    if (this.#failure) return;
    this.#worker.postMessage({ type: "fail", line } satisfies Order);
    this.#failure = new DeviceError(line);
  }

  async close(): Promise<void> {
    await this.#last;
    if (this.#failure) throw this.#failure;
    this.#worker.postMessage({ type: "close" } satisfies Order);
    await this.#closed.promise;
    process.off("exit", this.#onExit);
    exitThroughC();
    clearInterval(this.#timer);
    this.#worker.terminate();
  }

  #take(answer: Answer): void {
    switch (answer.type) {
      case "ready":
        return this.#ready.resolve(answer);
      case "done":
        this.#waiting.get(answer.id)?.resolve();
        this.#waiting.delete(answer.id);
        return;
      case "failed":
        return this.#give(new RankError(answer.message, answer.said));
      case "closed":
        return this.#closed.resolve();
    }
  }

  /** Nothing more will be done. */
  #give(failure: AlexNetError): void {
    this.#failure ??= failure;
    this.#ready.reject(failure);
    this.#closed.reject(failure);
    for (const { reject } of this.#waiting.values()) reject(failure);
    this.#waiting.clear();
  }

  /** The process ends and has not parted from the others: they must end too, and can't be asked to. */
  #abort(code: number): void {
    Atomics.store(this.#pulse, Pulse.abort, code || 1);
    // MPI ends this process as well; if it can't, the launcher will see how it ended.
    Atomics.wait(this.#pulse, Pulse.never, 0, ABORT_MS);
  }
}

async function gathered(link: Link, size: number, bytes: Uint8Array): Promise<readonly Uint8Array[]> {
  const own = new Float64Array([bytes.length]);
  const lengths = new Float64Array(size);
  await link.order(Promise.resolve([gatherOrder(own, lengths), [own, lengths]]));
  const room = Math.max(1, ...lengths);
  const padded = new Uint8Array(room);
  padded.set(bytes);
  const all = new Uint8Array(room * size);
  await link.order(Promise.resolve([gatherOrder(padded, all), [padded, all]]));
  return Array.from(lengths, (length, rank) => all.subarray(rank * room, rank * room + length));
}

type Numbers = Uint8Array | Float32Array | Float64Array;

function gatherOrder(from: Numbers, to: Numbers): Unnumbered {
  return { type: "gather", from: { address: ptr(from), length: from.byteLength }, to: ptr(to) };
}

function typeOf(arrays: readonly (Float32Array | Float64Array)[]): "f32" | "f64" {
  return arrays[0] instanceof Float64Array ? "f64" : "f32";
}

function memory(array: Float32Array | Float64Array): Memory {
  return { address: ptr(array), length: array.length };
}
