/**
 * Sums the gradients of a step over all ranks while the backward pass is still running: those of the last layers are
 * sent while those of the first layers are being computed.
 */
import type { Backend } from "../engine/backend.ts";
import type { Parameter } from "../engine/parameter.ts";
import type { Tensor } from "../engine/tensor.ts";
import type { Ranks } from "./ranks.ts";

/** Gradients are sent in buckets of this size, so that many small ones share a message. */
const BUCKET_BYTES = 4 * 2 ** 20;

export class Gradients {
  readonly #ranks: Ranks;
  readonly #backend: Backend;
  readonly #sums: Promise<void>[] = [];
  #bucket: Tensor[] = [];
  #bytes = 0;

  constructor(ranks: Ranks, backend: Backend) {
    this.#ranks = ranks;
    this.#backend = backend;
  }

  /** Call this once everything that computes the parameter's gradient is queued. */
  add(parameter: Parameter): void {
    this.#bucket.push(parameter.grad!);
    this.#bytes += 4 * parameter.size;
    if (this.#bytes >= BUCKET_BYTES) this.flush();
  }

  /** Sends the gradients added so far. */
  flush(): void {
    if (this.#bucket.length === 0) return;
    const summed = this.#sum(this.#bucket);
    // If an earlier sum fails, this one is never awaited.
    summed.catch(() => {});
    this.#sums.push(summed);
    this.#bucket = [];
    this.#bytes = 0;
  }

  /** Resolves when the sums are on the device, or queued there. */
  async done(): Promise<void> {
    this.flush();
    await Promise.all(this.#sums);
  }

  async #sum(gradients: readonly Tensor[]): Promise<void> {
    const backend = this.#backend;
    if (backend.memoryOf) {
      const inPlace = () => gradients.map(({ buffer }) => backend.memoryOf!(buffer) as Float32Array);
      return this.#ranks.sum(backend.synchronize().then(inPlace));
    }
    const copies = Promise.all(gradients.map((gradient) => gradient.read() as Promise<Float32Array>));
    await this.#ranks.sum(copies);
    for (const [i, values] of (await copies).entries()) backend.write(gradients[i]!.buffer, values);
  }
}
