/** Muon for the matrices of hidden layers, AdamW for the rest; the update rules are in src/engine/ops/later. */
import { adamw } from "../../engine/ops/later/adamw.ts";
import { muon } from "../../engine/ops/later/muon.ts";
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

/** Its settings in the original (github.com/KellerJordan/Muon, MuonWithAuxAdam), and its rate as a share of Muon's. */
const ADAMW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-10 };
const ADAMW_RATE = 3e-4 / 0.02;

/**
 * As the original advises, Muon moves the weights of convolutions and fully connected layers between the first and the
 * last; AdamW moves these two and everything else, at 0.015 times the rate. Muon's momentum is the recipe's. A factor of
 * the loss remains in the state, where it cancels out.
 */
export class Muon implements Optimizer {
  readonly settings: OptimizerSettings;
  readonly state: readonly StateTensor[];
  readonly #model: Learned;
  /** For each parameter, the mean of its gradients; and that of their squares, if AdamW moves it. */
  readonly #means: readonly Tensor[];
  readonly #squares = new Map<string, Tensor>();
  #steps = 0;

  /** @param given as for `prepare` @throws as `prepare` */
  constructor(of: Learnable, given?: Partial<OptimizerSettings>) {
    const [model, settings] = prepare("Muon", of, given);
    [this.#model, this.settings] = [model, settings];
    const { parameters, specs } = model;
    const matrices = parameters
      .filter(({ shape }, i) => specs[i]!.role === "weight" && [2, 4].includes(shape.length))
      .slice(1, -1);
    const others = parameters.filter((parameter) => !matrices.includes(parameter));
    this.#means = zerosLike(parameters);
    zerosLike(others).forEach((square, i) => this.#squares.set(others[i]!.name, square));
    this.state = [
      ...this.#means.map((mean, i) => {
        const { name } = parameters[i]!;
        return stateTensor(`optimizer.${this.#squares.has(name) ? "mean" : "momentum"}.${name}`, mean);
      }),
      ...[...this.#squares].map(([name, square]) => stateTensor(`optimizer.square.${name}`, square)),
      stepCount(
        "optimizer.steps",
        () => this.#steps,
        (steps) => (this.#steps = steps),
      ),
    ];
  }

  static readonly rate = 0.02;
  static readonly needsWhole = true;

  step(rateOf: Rate): void {
    const step = ++this.#steps;
    const { momentum } = this.settings;
    const epsilon = ADAMW.epsilon * (this.#model.lossScale ?? 1);
    eachUpdate("Muon.step", this.#model, this.settings, rateOf, ({ index, parameter, gradient, rate, decay }) => {
      const mean = this.#means[index]!;
      const square = this.#squares.get(parameter.name);
      if (!square) muon(parameter, mean, gradient, { rate, decay, momentum });
      else adamw(parameter, mean, square, gradient, { ...ADAMW, epsilon, rate: ADAMW_RATE * rate, decay, step });
    });
  }

  free(): void {
    freeAll([...this.#means, ...this.#squares.values()]);
  }
}
