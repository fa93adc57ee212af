/**
 * What ranks with different parts of a network exchange: outputs in the forward pass, and their gradients in the
 * backward pass. A rank's features are a block of rows of features × N or C × H × W × N; its images are a block of
 * columns. The arrays are reused in every step.
 */
import type { Tensor } from "../engine/tensor.ts";
import type { Ranks } from "./ranks.ts";

export class Exchange {
  readonly #ranks: Ranks;
  readonly #byImages: boolean;
  #own = new Float32Array(0);
  #all = new Float32Array(0);
  #ordered = new Float32Array(0);

  /** @param byImages whether ranks have different images rather than different features */
  constructor(ranks: Ranks, byImages: boolean) {
    this.#ranks = ranks;
    this.#byImages = byImages;
  }

  /** The outputs of all ranks put together; valid until the next call. @param own of the same size on all ranks */
  async forward(own: Tensor): Promise<Float32Array> {
    this.#fit(own.size);
    await this.#ranks.collect(numbersOf(own), this.#all);
    if (!this.#byImages) return this.#all;
    const columns = own.shape.at(-1)!;
    const rows = own.size / columns;
    this.#eachRun(rows, columns, (block, row) => {
      this.#ordered.set(this.#all.subarray(block, block + columns), row);
    });
    return this.#ordered;
  }

  /**
   * The gradient of this rank's own output; valid until the next call.
   * @param whole this rank's contribution to the gradient of what `forward` returned
   * @param repeated whether every rank computes all of that gradient, so that nothing is to be summed
   */
  async backward(whole: Tensor, repeated: boolean): Promise<Float32Array> {
    const { rank, size } = this.#ranks;
    const blocks = async (): Promise<Float32Array> => {
      const all = await numbersOf(whole);
      if (!this.#byImages) return all;
      const columns = whole.shape.at(-1)! / size;
      const rows = whole.size / (size * columns);
      this.#eachRun(rows, columns, (block, row) => this.#all.set(all.subarray(row, row + columns), block));
      return this.#all;
    };
    if (!repeated) {
      await this.#ranks.sumBlock(blocks(), this.#own);
      return this.#own;
    }
    const { length } = this.#own;
    return (await blocks()).subarray(rank * length, (rank + 1) * length);
  }

  #fit(own: number): void {
    if (this.#own.length === own) return;
    this.#own = new Float32Array(own);
    this.#all = new Float32Array(own * this.#ranks.size);
    if (this.#byImages) this.#ordered = new Float32Array(this.#all.length);
  }

  /** Visits each row of each rank's columns: where it begins in the ranks' blocks, and in the whole. */
  #eachRun(rows: number, columns: number, visit: (block: number, row: number) => void): void {
    const { size } = this.#ranks;
    for (let rank = 0; rank < size; rank++) {
      for (let row = 0; row < rows; row++) visit((rank * rows + row) * columns, (row * size + rank) * columns);
    }
  }
}

/** The elements of a tensor; a view of the device's own memory where that can be addressed. */
async function numbersOf({ backend, buffer, size }: Tensor): Promise<Float32Array> {
  if (!backend.memoryOf) return (await backend.read(buffer, 0, size)) as Float32Array;
  await backend.synchronize();
  return (backend.memoryOf(buffer) as Float32Array).subarray(0, size);
}
