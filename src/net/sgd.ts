import { sgd } from "../engine/ops/sgd.ts";
import { Tensor } from "../engine/tensor.ts";
import { ShapeError } from "../errors.ts";
import { requireNumber, show } from "../options.ts";
import { layerOf, type Model } from "./model.ts";

export interface SgdSettings {
  readonly momentum: number;
  readonly decay: number;
  /** Biases learn at this multiple of the rate. */
  readonly biasRate: number;
  readonly biasDecay: boolean;
}

/** Stochastic gradient descent with momentum, paper §5, on all parameters of a model. */
export class Sgd {
  readonly settings: SgdSettings;
  /** One for each parameter of the model, in its order; zero at first. */
  readonly velocities: readonly Tensor[];
  readonly #model: Model;

  /** @param settings may hold more, as a recipe does. @throws ShapeError for numbers that make no sense */
  constructor(model: Model, settings: SgdSettings) {
    const { momentum, decay, biasRate } = settings;
    requireNumber("Sgd", { momentum, decay, biasRate }, 0);
    this.settings = settings;
    this.#model = model;
    this.velocities = model.parameters.map(({ backend, shape, size }) => {
      const buffer = backend.allocate("f32", size);
      backend.write(buffer, new Float32Array(size));
      return new Tensor(backend, shape, buffer);
    });
  }

  /**
   * Moves every parameter that has a gradient, and clears the gradient.
   * @param rateOf the learning rate of a layer's weights; 0 leaves the layer as it is
   * @throws ShapeError when that is no function, or a rate no number from 0 on
   */
  step(rateOf: (layer: string) => number): void {
    if (typeof rateOf !== "function")
      throw new ShapeError(`Sgd.step: ${show(rateOf)}, must be a function of the layer`);
    const { momentum, decay, biasRate, biasDecay } = this.settings;
    this.#model.parameters.forEach((parameter, i) => {
      const { grad } = parameter;
      if (!grad) return;
      const spec = this.#model.specs[i]!;
      const isBias = spec.role === "bias";
      const layer = layerOf(parameter.name);
      const own = rateOf(layer);
      requireNumber("Sgd.step", { [`the rate of ${layer}`]: own }, 0);
      const rate = own * (isBias ? biasRate : 1);
      const ownDecay = isBias && !biasDecay ? 0 : (spec.decay ?? decay);
      if (rate > 0) sgd(parameter, this.velocities[i]!, grad, { rate, momentum, decay: ownDecay });
      parameter.grad = undefined;
    });
  }

  free(): void {
    for (const velocity of this.velocities) {
      const buffer = velocity.detach();
      if (buffer) velocity.backend.free(buffer);
    }
  }
}
