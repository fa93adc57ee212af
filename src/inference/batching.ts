/**
 * Puts the images of many callers into batches: those that arrive while one is computed make up the next. An image that
 * comes alone to an idle device is computed at once.
 */

/** A caller's image. */
interface Call<Result> {
  /** Only calls of one kind share a batch. */
  readonly kind: number;
  readonly record: Uint8Array;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchWork<Result> {
  /** The most images in a batch. */
  readonly most: number;
  /** Bytes of an image's record. */
  readonly bytes: number;
  /**
   * Computes a batch.
   * @param pixels records, of which the first `images` count; the rest pad it to one of few sizes
   * @returns the result of each image
   */
  compute(kind: number, pixels: Uint8Array, images: number): Promise<readonly Result[]>;
}

/** A batch that would be less full than this is cut to the size below. */
const FULL = 3 / 4;

/**
 * How many of the images that wait to take, and the size to pad them to. There are few sizes, the powers of two and
 * the largest: each takes memory of its own on a device and, on a GPU, time to find its fastest kernels.
 */
export function batchOf(waiting: number, most: number): { readonly take: number; readonly size: number } {
  const size = Math.min(most, 2 ** Math.ceil(Math.log2(waiting)));
  if (waiting >= FULL * size) return { take: Math.min(waiting, size), size };
  const below = 2 ** Math.floor(Math.log2(waiting));
  return { take: below, size: below };
}

export class Batching<Result> {
  readonly #work: BatchWork<Result>;
  readonly #pixels: Uint8Array;
  /** Records that are not in use. */
  readonly #records: SharedArrayBuffer[] = [];
  /** Images that are still being decoded. */
  readonly #decoding = new Set<Promise<unknown>>();
  readonly #ready: Call<Result>[] = [];
  /** The loop over batches, while there are any. */
  #running: Promise<void> | undefined;
  /** How long the last batch took, in ms; a guess for the first. */
  #batchMs = 50;
  #batches = 0;

  constructor(work: BatchWork<Result>) {
    this.#work = work;
    this.#pixels = new Uint8Array(work.most * work.bytes);
  }

  /** Images that are being decoded or wait for their batch. */
  get waiting(): number {
    return this.#decoding.size + this.#ready.length;
  }

  /** Batches so far. */
  get batches(): number {
    return this.#batches;
  }

  /**
   * The result for one image.
   * @param decode writes its record; what it throws is thrown to the caller, as is the signal's reason
   */
  async add(kind: number, decode: (record: SharedArrayBuffer) => Promise<void>, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const memory = this.#records.pop() ?? new SharedArrayBuffer(this.#work.bytes);
    const call: Call<Result> = { kind, record: new Uint8Array(memory), resolve, reject };
    const leave = () => {
      const at = this.#ready.indexOf(call);
      if (at >= 0) this.#ready.splice(at, 1);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    const decoded = decode(memory).then(() => {
      if (!signal?.aborted) this.#ready.push(call);
    }, reject);
    this.#decoding.add(decoded);
    void decoded.then(() => {
      this.#decoding.delete(decoded);
      if (this.#ready.length > 0) this.#running ??= this.#run();
    });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
      // Not before a thread has stopped writing to it, also for a caller that has left.
      void decoded.then(() => this.#records.push(memory));
    }
  }

  /** Resolves when nothing waits and nothing is computed. */
  async idle(): Promise<void> {
    while (this.#running || this.#decoding.size > 0) await Promise.all([this.#running, ...this.#decoding]);
  }

  async #run(): Promise<void> {
    while (this.#ready.length > 0) {
      await this.#gather();
      const calls = this.#take();
      if (calls.length > 0) await this.#compute(calls);
    }
    this.#running = undefined;
  }

  /**
   * Waits for images that have arrived but are not decoded yet, for no longer than the last batch took: so a large one
   * at most doubles the time of the others.
   */
  async #gather(): Promise<void> {
    if (this.#decoding.size === 0 || this.#ready.length >= this.#work.most) return;
    await Promise.race([Promise.all(this.#decoding), Bun.sleep(this.#batchMs)]);
  }

  /** The calls of the next batch, of the same kind as the first that waits. */
  #take(): readonly Call<Result>[] {
    const kind = this.#ready[0]?.kind;
    const same = this.#ready.filter((call) => call.kind === kind);
    if (same.length === 0) return [];
    const calls = new Set(same.slice(0, batchOf(same.length, this.#work.most).take));
    this.#ready.splice(0, this.#ready.length, ...this.#ready.filter((call) => !calls.has(call)));
    return [...calls];
  }

  async #compute(calls: readonly Call<Result>[]): Promise<void> {
    const { most, bytes } = this.#work;
    const { size } = batchOf(calls.length, most);
    const start = performance.now();
    try {
      for (const [n, { record }] of calls.entries()) this.#pixels.set(record, n * bytes);
      const results = await this.#work.compute(calls[0]!.kind, this.#pixels.subarray(0, size * bytes), calls.length);
      for (const [n, { resolve }] of calls.entries()) resolve(results[n]!);
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
    this.#batchMs = performance.now() - start;
    this.#batches++;
  }
}
