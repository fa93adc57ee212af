/** Adam with decoupled weight decay (arXiv 1711.05101); the update rule is in src/engine/ops/later/adamw.ts. */
import { adamw } from "../../engine/ops/later/adamw.ts";
import type { Tensor } from "../../engine/tensor.ts";
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
} from "../optimizer.ts";
import { stateTensor, stepCount, type StateTensor } from "../state.ts";

const EPSILON = 1e-8;

/**
 * β₁ is the recipe's momentum; β₂ is 0.999 and ε 1e-8, as in the paper on Adam (arXiv 1412.6980). A factor of the loss
 * remains in the moments, where it cancels out.
 */
export class AdamW implements Optimizer {
  readonly settings: OptimizerSettings;
  readonly state: readonly StateTensor[];
  readonly #model: Learned;
  /** The mean of the gradients and that of their squares, one of each for each parameter. */
  readonly #moments: readonly [readonly Tensor[], readonly Tensor[]];
  #steps = 0;

  /** @param given as for `prepare` @throws as `prepare` */
  constructor(of: Learnable, given?: Partial<OptimizerSettings>) {
    const [model, settings] = prepare("AdamW", of, given);
    [this.#model, this.settings] = [model, settings];
    this.#moments = [zerosLike(model.parameters), zerosLike(model.parameters)];
    const named = (kind: string, tensors: readonly Tensor[]) =>
      tensors.map((tensor, i) => stateTensor(`optimizer.${kind}.${model.parameters[i]!.name}`, tensor));
    this.state = [
      ...named("mean", this.#moments[0]),
      ...named("square", this.#moments[1]),
      stepCount(
        "optimizer.steps",
        () => this.#steps,
        (steps) => (this.#steps = steps),
      ),
    ];
  }

  static readonly rate = 0.001;

  step(rateOf: Rate): void {
    const step = ++this.#steps;
    const { momentum: beta1 } = this.settings;
    const [means, squares] = this.#moments;
    const epsilon = EPSILON * (this.#model.lossScale ?? 1);
    eachUpdate("AdamW.step", this.#model, this.settings, rateOf, ({ index, parameter, gradient, rate, decay }) => {
      adamw(parameter, means[index]!, squares[index]!, gradient, { rate, decay, step, beta1, epsilon });
    });
  }

  free(): void {
    freeAll(this.#moments.flat());
  }
}
