/** Layers' state that is not learnt by gradient. */
import type { Backend } from "../engine/backend.ts";
import { checkedSize, Tensor } from "../engine/tensor.ts";
import type { StateSpec } from "./layer.ts";

/** A tensor that a layer updates itself, such as a running mean: saved, restored and sent to ranks like a parameter. */
export class Statistic extends Tensor {
  readonly name: string;
  readonly #initial: number;

  constructor(backend: Backend, { name, shape, initial }: StateSpec) {
    super(backend, shape, backend.allocate("f32", checkedSize(name, shape)));
    this.name = name;
    this.#initial = initial;
  }

  /** Back to its value before the first step. */
  reset(): void {
    this.backend.write(this.buffer, new Float32Array(this.size).fill(this.#initial));
  }

  free(): void {
    const buffer = this.detach();
    if (buffer) this.backend.free(buffer);
  }
}
