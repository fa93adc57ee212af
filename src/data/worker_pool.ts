/** A pool of worker threads. Each does one job at a time, with a second one already sent. */
import { availableParallelism } from "node:os";
import { refuseInComputeWorker } from "../devices/compute_worker.ts";
import { AlexNetError, DeviceError } from "../errors.ts";

/** A worker's reply to a job. Error classes don't survive the message, so errors are sent as plain objects. */
type Reply<R> = { readonly result: R } | { readonly error: Failure };

interface Failure {
  readonly message: string;
  readonly stack: string | undefined;
  /** Whether it was an AlexNetError. */
  readonly expected: boolean;
}

interface Task<J, R> {
  readonly job: J;
  readonly isWanted: () => boolean;
  readonly resolve: (result: R | undefined) => void;
  readonly reject: (error: Error) => void;
}

interface Thread<J, R> {
  readonly worker: Worker;
  /** Sent but not answered, oldest first. */
  readonly sent: Task<J, R>[];
}

/** Jobs sent to a worker ahead, so that it need not wait for the main thread between two. */
const AT_ONCE = 2;

export class WorkerPool<J, R> {
  readonly #threads: Thread<J, R>[];
  readonly #queue: Task<J, R>[] = [];
  /** Set when a thread has died: its jobs would never be answered. */
  #failure: Error | undefined;

  /** @param url the worker's file */
  constructor(url: URL, count = availableParallelism()) {
    refuseInComputeWorker("threads are started");
    this.#threads = Array.from({ length: count }, () => this.#start(url));
  }

  get count(): number {
    return this.#threads.length;
  }

  /**
   * Resolves to the worker's result, or to undefined if the job was no longer wanted when its turn came. Shared memory in
   * `job` is not copied. Rejects with an AlexNetError if the worker's error was one.
   */
  run(job: J, isWanted: () => boolean = () => true): Promise<R | undefined> {
    if (this.#failure) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<R | undefined>();
    this.#queue.push({ job, isWanted, resolve, reject });
    this.#send();
    return promise;
  }

  /** Terminates the workers, even in the middle of a job. */
  close(): void {
    for (const { worker } of this.#threads) worker.terminate();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #start(url: URL): Thread<J, R> {
    const thread: Thread<J, R> = { worker: new Worker(url.href), sent: [] };
    const { worker, sent } = thread;
    // Idle workers don't keep the process alive.
    worker.unref();
    worker.onmessage = ({ data }: MessageEvent<Reply<R>>) => {
      const task = sent.shift();
      if (sent.length === 0) worker.unref();
      // Rejected when another thread died.
      if (!task) return;
      if ("result" in data) task.resolve(data.result);
      else task.reject(errorOf(data.error));
      this.#send();
    };
    worker.onerror = ({ message }) => {
      // The message quotes source code; one line says what happened.
      const what = /^\w*error: .*$/im.exec(message)?.[0] ?? message;
      const error = (this.#failure = new DeviceError(`a worker thread failed: ${what}`));
      for (const { reject } of this.#threads.flatMap((one) => one.sent.splice(0))) reject(error);
      for (const { reject } of this.#queue.splice(0)) reject(error);
    };
    return thread;
  }

  #send(): void {
    for (let depth = 0; depth < AT_ONCE; depth++) {
      for (const { worker, sent } of this.#threads) {
        if (sent.length > depth) continue;
        const task = this.#next();
        if (!task) return;
        if (sent.length === 0) worker.ref();
        sent.push(task);
        worker.postMessage(task.job);
      }
    }
  }

  #next(): Task<J, R> | undefined {
    for (let task = this.#queue.shift(); task; task = this.#queue.shift()) {
      if (task.isWanted()) return task;
      task.resolve(undefined);
    }
    return undefined;
  }
}

function errorOf({ message, stack, expected }: Failure): Error {
  const error = expected ? new AlexNetError(message) : new Error(message);
  // Keep the worker's stack.
  if (stack !== undefined) error.stack = stack;
  return error;
}

declare const self: {
  onmessage: ((event: { data: unknown }) => void) | null;
  postMessage(message: Reply<unknown>): void;
};

/** The worker's side: calls `work` for each job, in order, and replies with its result or error. */
export function serve<J, R>(work: (job: J) => R | Promise<R>): void {
  let last: Promise<void> = Promise.resolve();
  self.onmessage = ({ data }) => {
    last = last.then(async () => {
      try {
        self.postMessage({ result: await work(data as J) });
      } catch (error) {
        const { message, stack } = error instanceof Error ? error : new Error(String(error));
        self.postMessage({ error: { message, stack, expected: error instanceof AlexNetError } });
      }
    });
  };
}
