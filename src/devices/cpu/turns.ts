/**
 * Work in order on the thread that asks for it, in turns: between two items the thread is given back for whatever else
 * waits, so that a page stays alive while it computes.
 */
import { DeviceError } from "../../errors.ts";

/** A stage of a kernel, or anything else that must come after the work before it. */
export interface Job {
  /** The kernel's name, for errors. */
  readonly kernel?: string;
  readonly items: number;
  item(index: number): void;
  /** How long its items took, in ms. */
  ms?: number;
}

/** How long a turn lasts: half of what a screen of 60 pictures a second leaves for each. */
const TURN_MS = 8;

export class Turns {
  readonly #now: () => number;
  readonly #jobs: Job[] = [];
  /** The next item of the first job. */
  #next = 0;
  #isRunning = false;
  /** The first failure since the last `check`. */
  #failure: DeviceError | undefined;

  /** @param now the current time, in ms */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  get idle(): boolean {
    return this.#jobs.length === 0;
  }

  add(job: Job): void {
    this.#jobs.push(job);
  }

  /** Does everything there is, in turns, without being waited for. */
  start(): void {
    if (!this.#isRunning) void this.#run();
  }

  /** Resolves with what `take` gives when all jobs before are done. @throws DeviceError if one failed */
  after<T>(take: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.add({
      items: 1,
      item: () => {
        try {
          this.check();
          resolve(take());
        } catch (error) {
          reject(error);
        }
      },
    });
    this.start();
    return promise;
  }

  /** Does everything at once. @throws DeviceError if a job failed */
  finish(): void {
    this.#work(Infinity);
    this.check();
  }

  /** @throws DeviceError if a job failed since the last call */
  check(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (!this.idle) {
      this.#work(this.#now() + TURN_MS);
      if (!this.idle) await turn();
    }
    this.#isRunning = false;
  }

  /** Does items until all are done, or the time is up. */
  #work(until: number): void {
    let done = 0;
    for (let now = this.#now(); done < this.#jobs.length && now < until;) {
      const job = this.#jobs[done]!;
      try {
        while (this.#next < job.items && now < until) {
          const start = now;
          job.item(this.#next++);
          now = this.#now();
          job.ms = (job.ms ?? 0) + now - start;
        }
      } catch (error) {
        this.#next = job.items;
        const text = error instanceof Error ? error.message : String(error);
        this.#failure ??= new DeviceError(`cpu: kernel ${job.kernel} failed: ${text}`, { cause: error });
      }
      if (this.#next < job.items) break;
      this.#next = 0;
      done++;
    }
    this.#jobs.splice(0, done);
  }
}

/** Resolves when the thread has seen to everything that waits; timers would wait for 4 ms, in hidden pages for 1 s. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resolve();
  };
  port2.postMessage(undefined);
  return promise;
}
