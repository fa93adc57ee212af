/** How many kernels go to the device in one submission. */

/**
 * An idle device gets its next kernels in submissions of 8, then 32, then 128, so that it starts while the rest of a
 * step is still being encoded.
 */
const FIRST_KERNELS = 8;

/**
 * A submission gets as many kernels as take about this long, judging by the average so far; 8 until there is one.
 * Windows resets a GPU that spends 2 s on one submission, other drivers one that spends several. A step of `alexnet`
 * with 128 images is 330 GFLOP in some 120 kernels: 1.6 s at the 200 GFLOP/s of a small integrated GPU, which then gets
 * 7 kernels at a time. The largest kernel, conv2's weight gradient, has 57 GFLOP and takes 0.3 s there.
 */
const SUBMISSION_MS = 100;

export class Pacing {
  readonly #now: () => number;
  /** Kernels since the last submission, and the number that triggers the next one. */
  #kernels = 0;
  #ahead = FIRST_KERNELS;
  /** Maximum number of kernels in a submission. */
  #most = FIRST_KERNELS;
  /** Kernels submitted so far, how many of them are known to be done, and when the device began with the others. */
  #submitted = 0;
  #done = 0;
  #since = 0;

  /** @param now the host's current time, in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Number of kernels submitted so far. */
  get submitted(): number {
    return this.#submitted;
  }

  /** Counts a kernel. @returns whether those counted are to be submitted now */
  add(): boolean {
    if (++this.#kernels < Math.min(this.#ahead, this.#most)) return false;
    this.#ahead *= 4;
    return true;
  }

  /** Called when the kernels counted are submitted. */
  submit(): void {
    if (this.#done === this.#submitted) this.#since = this.#now();
    this.#submitted += this.#kernels;
    this.#kernels = 0;
  }

  /** Called when the device has done the first `kernels` of those submitted. If it is idle, the next go to it soon. */
  finished(kernels: number): void {
    this.#ahead = FIRST_KERNELS;
    if (kernels <= this.#done) return;
    const now = this.#now();
    const each = (now - this.#since) / (kernels - this.#done);
    this.#most = Math.max(1, Math.floor(SUBMISSION_MS / each));
    this.#done = kernels;
    this.#since = now;
  }
}
