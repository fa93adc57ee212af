/**
 * Ranks: processes that an MPI launcher started together, on one machine or several. A process that was started alone is
 * rank 0 of 1 and needs no MPI.
 */
import { ptr } from "bun:ffi";
import { hostname } from "node:os";
import { AlexNetError, DeviceError, RankError } from "../errors.ts";
import { launcherOf, type Memory } from "../native/mpi.ts";
import { exitThroughC } from "../native/pmi.ts";
// Not from the worker itself: a module that sets `self.onmessage` keeps the main thread alive forever.
import { Pulse, type Reply, type Order, type Setup } from "./orders.ts";

/** An order before it is numbered. */
type Unnumbered = Order extends infer O ? (O extends { id: number } ? Omit<O, "id"> : never) : never;

/** Communication between the ranks. All ranks must call the same methods in the same order. */
export interface Ranks {
  readonly rank: number;
  readonly size: number;
  /** Its rank among those on the same machine, and how many there are. */
  readonly local: { readonly rank: number; readonly size: number };
  /** The MPI library, in words; undefined for a process that was started alone. */
  readonly mpi?: string;
  /**
   * Bytes of numbers that this rank has sent so far, counted as optimal algorithms would send them. With K ranks: a sum
   * of n bytes takes 2n(K − 1)/K, a block of a sum n(K − 1)/K, and collecting n bytes from each n(K − 1).
   */
  readonly sentBytes: number;
  /** Replaces all numbers, once they are available, by their sums over all ranks: the same bits on each. */
  sum(arrays: Promise<readonly (Float32Array | Float64Array)[]>): Promise<void>;
  /**
   * As `sum`, but blocks, and goes before sums that are not yet available. It is called within `whileBlocking`.
   * @throws RankError when the ranks can't go on
   */
  sumNow(array: Float64Array): void;
  /** Replaces the contents of these arrays by those of rank 0. */
  broadcast(arrays: readonly Float32Array[]): Promise<void>;
  /** Fills `all` with the numbers of every rank, concatenated in the order of ranks; each rank has the same count. */
  collect(own: Promise<Float32Array>, all: Float32Array): Promise<void>;
  /** Sums `all` over all ranks and fills `own` with this rank's block of it; there is an equal block for each rank. */
  sumBlock(all: Promise<Float32Array>, own: Float32Array): Promise<void>;
  /** The bytes of every rank, in the order of ranks; lengths may differ. */
  gather(bytes: Uint8Array): Promise<readonly Uint8Array[]>;
  /** What `make` returns on rank 0, through JSON; the other ranks don't call it. */
  share<T>(make: () => T | Promise<T>): Promise<T>;
  /** Tells the other ranks that this one can't go on. @returns the error, naming the rank */
  fail(error: unknown): unknown;
  /** Leaves MPI, once all ranks have called this. */
  close(): Promise<void>;
}

/** A process that was started alone. */
export const ALONE: Ranks = {
  rank: 0,
  size: 1,
  local: { rank: 0, size: 1 },
  sentBytes: 0,
  sum: async (arrays) => void (await arrays),
  sumNow: () => {},
  collect: async (own, all) => all.set(await own),
  sumBlock: async (all, own) => own.set(await all),
  broadcast: async () => {},
  gather: async (bytes) => [bytes],
  share: async (make) => make(),
  fail: (error) => error,
  close: async () => {},
};

/** Does work that may call `sumNow`. @throws what the work throws; RankError that says why the ranks can't go on */
export async function whileBlocking<T>(ranks: Ranks, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A blocked thread hears only that there is a reason; the reason itself comes as a message, which ends any order.
    if (error instanceof RankError) await ranks.gather(new Uint8Array(1));
    throw error;
  }
}

/** How often the main thread signals that it is alive. */
const BEAT_MS = 250;
/** How long to wait for the other ranks to start; they may be downloading, for example. */
const START_MS = 300_000;
/** How long a process that ends early waits for MPI to abort the others. */
const ABORT_MS = 3000;
/** How long it leaves the launcher before that to pass on what was printed: an abort drops what has not been read. */
const PRINTED_MS = 300;

/**
 * The ranks that this process belongs to; `ALONE` unless a launcher started several.
 * @throws DeviceError when there is no MPI library to reach the others with
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
    sumNow(array) {
      link.sumNow(array);
      sentBytes += (2 * array.byteLength * (size - 1)) / size;
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
      // It came from another rank.
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
  /** Orders in progress, with the memory that they work on. */
  readonly #waiting = new Map<number, PromiseWithResolvers<void> & { readonly kept: unknown }>();
  readonly #ready = Promise.withResolvers<Extract<Reply, { type: "ready" }>>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #timer: Timer;
  readonly #onExit = (code: number) => this.#abort(code);
  #failure: AlexNetError | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #next = 0;

  constructor(worker: Worker, pulse: Int32Array) {
    this.#worker = worker;
    this.#pulse = pulse;
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#take(data);
    // The timer keeps the process alive until the ranks have parted; the worker would keep it alive forever.
    worker.unref();
    worker.onerror = ({ message }) => this.#give(new DeviceError(`MPI's thread ended: ${message}`));
    this.#timer = setInterval(() => Atomics.add(pulse, Pulse.beats, 1), BEAT_MS);
  }

  async start(setup: Setup): Promise<Extract<Reply, { type: "ready" }>> {
    const late = () =>
      this.#give(
        new DeviceError(`the other ranks have not started within ${START_MS / 1000} s: check what they are doing`),
      );
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
   * Queues an order. Orders start in the order of these calls on every rank, no matter which is ready first, and the
   * memory that they name is kept until they are done.
   */
  async order(made: Promise<readonly [order: Unnumbered, kept: unknown]>): Promise<void> {
    const id = this.#next++;
    const settle = Promise.withResolvers<void>();
    const begun = Promise.all([made, this.#last]).then(([[order, kept]]) => {
      if (this.#failure) throw this.#failure;
      this.#waiting.set(id, { ...settle, kept });
      this.#worker.postMessage({ ...order, id } as Order);
    });
    // A failure before its turn is reported to the caller; the orders behind it fail by themselves.
    this.#last = begun.catch(() => {});
    await begun;
    await settle.promise;
  }

  /** As an order, but blocks. */
  sumNow(array: Float64Array): void {
    if (this.#failure) throw this.#failure;
    const id = this.#next++;
    this.#worker.postMessage({ type: "sum", id, of: "f64", parts: [memory(array)], blocks: true } satisfies Order);
    for (let summed = 0; summed !== id + 1; summed = Atomics.load(this.#pulse, Pulse.summed)) {
      if (summed === -1) throw new RankError("the ranks can't go on", true);
      Atomics.wait(this.#pulse, Pulse.summed, summed, BEAT_MS);
      Atomics.add(this.#pulse, Pulse.beats, 1);
    }
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

  #take(answer: Reply): void {
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

  /** The process ends without having left MPI: the others must end too, and can't be asked to. */
  #abort(code: number): void {
    Atomics.wait(this.#pulse, Pulse.never, 0, PRINTED_MS);
    Atomics.store(this.#pulse, Pulse.abort, code || 1);
    // MPI ends this process as well; if it can't, the launcher sees its exit code.
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
