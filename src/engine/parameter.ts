import type { Backend } from "./backend.ts";
import { valuesFor, type ParameterOptions } from "./later/initial.ts";
import { checkedSize, Tensor } from "./tensor.ts";

/** A tensor that is learned. It, its gradient and the optimiser's state of it live as long as the model. */
export class Parameter extends Tensor {
  /** PyTorch's name, such as conv1.weight. */
  readonly name: string;
  #gradient: Tensor | undefined;

  /** @throws ShapeError for an invalid shape or number; UsageError for an unknown option */
  constructor(backend: Backend, name: string, shape: readonly number[], options: ParameterOptions = {}) {
    const values = valuesFor(name, shape, options);
    super(backend, shape, backend.allocate("f32", checkedSize(name, shape)), undefined, true);
    this.name = name;
    if (values) backend.write(this.buffer, values);
  }

  /** Memory for its gradient, allocated once. Its contents are valid only while `grad` is set. */
  gradientStorage(): Tensor {
    return (this.#gradient ??= new Tensor(this.backend, this.shape, this.backend.allocate("f32", this.size)));
  }

  free(): void {
    this.grad = undefined;
    for (const tensor of [this, this.#gradient]) {
      const buffer = tensor?.detach();
      if (buffer) this.backend.free(buffer);
    }
  }
}
