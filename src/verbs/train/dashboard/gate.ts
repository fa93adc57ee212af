/** Where a training waits while it is paused; and how it is told to stop. */
export class Gate {
  readonly #stop = new AbortController();
  #open: PromiseWithResolvers<void> | undefined;

  get paused(): boolean {
    return this.#open !== undefined;
  }

  /** Aborted when the training is to stop after the step under way. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  pause(): void {
    if (!this.signal.aborted) this.#open ??= Promise.withResolvers();
  }

  resume(): void {
    this.#open?.resolve();
    this.#open = undefined;
  }

  stop(): void {
    this.#stop.abort();
    this.resume();
  }

  /** Resolves at once unless it is paused, else when it is no longer, or the signal says stop. */
  async pass(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#open || signal?.aborted) return;
    const resume = () => this.resume();
    signal?.addEventListener("abort", resume, { once: true });
    // A promise alone keeps no process alive.
    const alive = setInterval(() => {}, 1000);
    try {
      await this.#open.promise;
    } finally {
      clearInterval(alive);
      signal?.removeEventListener("abort", resume);
    }
  }
}
