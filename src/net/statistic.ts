import type { Backend } from "../engine/backend.ts";
import { checkedSize, Tensor } from "../engine/tensor.ts";
import type { StateSpec } from "./layer.ts";

/** What a layer keeps and no gradient changes: it is saved, restored and sent to other ranks with the parameters. */
export class Statistic extends Tensor {
  readonly name: string;
  readonly #initial: number;

  constructor(backend: Backend, { name, shape, initial }: StateSpec) {
    super(backend, shape, backend.allocate("f32", checkedSize(name, shape)));
    this.name = name;
    this.#initial = initial;
  }

  /** As it is before the first step. */
  reset(): void {
    this.backend.write(this.buffer, new Float32Array(this.size).fill(this.#initial));
  }

  free(): void {
    const buffer = this.detach();
    if (buffer) this.backend.free(buffer);
  }
}
