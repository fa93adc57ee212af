/** Pauses a training, or stops it. */
export class Gate {
  readonly #stop = new AbortController();
  #open: PromiseWithResolvers<void> | undefined;

  get paused(): boolean {
    return this.#open !== undefined;
  }

  /** Aborted to stop the training after the current step. */
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

  /** Resolves as soon as the training is not paused, or the signal is aborted. @returns for how many ms it was paused */
  async pass(signal: AbortSignal | undefined): Promise<number> {
    if (!this.#open || signal?.aborted) return 0;
    const start = performance.now();
    const resume = () => this.resume();
    signal?.addEventListener("abort", resume, { once: true });
    // A pending promise alone does not keep the process alive.
    const alive = setInterval(() => {}, 1000);
    try {
      await this.#open.promise;
    } finally {
      clearInterval(alive);
      signal?.removeEventListener("abort", resume);
    }
    return performance.now() - start;
  }
}
