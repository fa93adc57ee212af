/** How fast a training is, not counting what interrupts it. */
export class Pace {
  readonly #now: () => number;
  readonly #start: number;
  #pausedMs = 0;
  #from: number;
  #images = 0;

  /** @param now a clock, in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#start = this.#from = now();
  }

  /** Waits for something that counts neither as time nor as training. */
  async without(waiting: Promise<void>): Promise<void> {
    const before = this.#now();
    await waiting;
    const ms = this.#now() - before;
    this.#pausedMs += ms;
    this.#from += ms;
  }

  /** Begins a new rate. */
  restart(): void {
    this.#from = this.#now();
    this.#images = 0;
  }

  /** Counts images that are done. */
  after(images: number): { readonly imagesPerSecond: number; readonly seconds: number } {
    const now = this.#now();
    this.#images += images;
    const seconds = (now - this.#start - this.#pausedMs) / 1000;
    return { imagesPerSecond: (1000 * this.#images) / Math.max(now - this.#from, 1e-3), seconds };
  }
}
