/** Stochastic gradient descent with momentum, paper §5; the update rule is in src/engine/ops/sgd.ts. */
import { sgd } from "../engine/ops/sgd.ts";
import type { Tensor } from "../engine/tensor.ts";
import {
  checkSettings,
  eachUpdate,
  freeAll,
  zerosLike,
  type Learned,
  type Optimizer,
  type OptimizerSettings,
} from "./optimizer.ts";
import { stateTensor, type StateTensor } from "./state.ts";

export class Sgd implements Optimizer {
  readonly settings: OptimizerSettings;
  /** One for each parameter of the model, in its order. */
  readonly velocities: readonly Tensor[];
  readonly state: readonly StateTensor[];
  readonly #model: Learned;
  /** Whether gradients count as taken a step ahead. */
  protected readonly looksAhead: boolean = false;

  /** @param settings may hold more, as a recipe does. @throws as `checkSettings` */
  constructor(model: Learned, settings: OptimizerSettings) {
    checkSettings("Sgd", model, settings);
    this.settings = settings;
    this.#model = model;
    this.velocities = zerosLike(model.parameters);
    this.state = this.velocities.map((velocity, i) => stateTensor(`velocity.${model.parameters[i]!.name}`, velocity));
  }

  step(rateOf: (layer: string) => number): void {
    const { momentum } = this.settings;
    eachUpdate("Sgd.step", this.#model, this.settings, rateOf, ({ index, parameter, gradient, rate, decay }) => {
      sgd(parameter, this.velocities[index]!, gradient, { rate, momentum, decay, nesterov: this.looksAhead });
    });
  }

  free(): void {
    freeAll(this.velocities);
  }
}
