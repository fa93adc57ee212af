/** Stochastic gradient descent with momentum, paper §5; the update rule is in src/engine/ops/sgd.ts. */
import { sgd } from "../engine/ops/sgd.ts";
import type { Tensor } from "../engine/tensor.ts";
import {
  eachUpdate,
  freeAll,
  prepare,
  zerosLike,
  type Learnable,
  type Learned,
  type Optimizer,
  type OptimizerSettings,
  type Rate,
} from "./optimizer.ts";
import { stateTensor, type StateTensor } from "./state.ts";

/** v ← momentum · v − rate · (decay · w + gradient), and w ← w + v, for each parameter w. */
export class Sgd implements Optimizer {
  readonly settings: OptimizerSettings;
  /** One for each parameter of the model, in its order. */
  readonly velocities: readonly Tensor[];
  readonly state: readonly StateTensor[];
  readonly #model: Learned;
  /** Whether gradients count as taken a step ahead. */
  protected readonly looksAhead: boolean = false;

  /** @param given as for `prepare` @throws as `prepare` */
  constructor(of: Learnable, given?: Partial<OptimizerSettings>) {
    const [model, settings] = prepare("Sgd", of, given);
    [this.#model, this.settings] = [model, settings];
    this.velocities = zerosLike(model.parameters);
    this.state = this.velocities.map((velocity, i) => stateTensor(`velocity.${model.parameters[i]!.name}`, velocity));
  }

  step(rateOf: Rate): void {
    const { momentum } = this.settings;
    const { lossScale = 1 } = this.#model;
    eachUpdate("Sgd.step", this.#model, this.settings, rateOf, ({ index, parameter, gradient, rate, decay }) => {
      // The rate is a factor of the gradient and of the decay.
      const scaled = { rate: rate / lossScale, decay: decay * lossScale };
      sgd(parameter, this.velocities[index]!, gradient, { ...scaled, momentum, nesterov: this.looksAhead });
    });
  }

  free(): void {
    freeAll(this.velocities);
  }
}
