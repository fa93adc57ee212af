/**
 * Averages of the weights over the steps, and of layers' state such as running means: an optimizer around another one.
 *
 *   ema        average ← d · average + (1 − d) · weights after each step; the averages are validated and kept as the
 *              best. d begins smaller, (1 + steps) / (10 + steps), as in TensorFlow's ExponentialMovingAverage.
 *   lookahead  every `every` steps the same with d · (the share of the run done)³, and weights ← average (Lookahead,
 *              arXiv 1907.08610, as in airbench, arXiv 2404.00498 §3.5). The run ends with the average.
 */
import { axpby } from "../../engine/ops/later/axpby.ts";
import type { Tensor } from "../../engine/tensor.ts";
import type { Model } from "../model.ts";
import { freeAll, zerosLike, type Optimizer, type Rate } from "../optimizer.ts";
import type { Average } from "./average.ts";
import { stateTensor, stepCount, type StateTensor } from "../state.ts";

export class Averaged implements Optimizer {
  readonly state: readonly StateTensor[];
  /** Only of those that are evaluated in place of the weights. */
  readonly swap?: () => Promise<void>;
  readonly #inner: Optimizer;
  readonly #average: Average;
  /** Each tensor and its average. */
  readonly #pairs: readonly (readonly [Tensor, Tensor])[];
  #steps = 0;

  constructor(model: Model, inner: Optimizer, average: Average) {
    const tensors = [...model.parameters, ...model.state];
    const averages = zerosLike(tensors);
    [this.#inner, this.#average] = [inner, average];
    this.#pairs = tensors.map((tensor, i) => [tensor, averages[i]!]);
    this.state = [
      ...inner.state,
      ...averages.map((tensor, i) => stateTensor(`optimizer.average.${tensors[i]!.name}`, tensor)),
      stepCount(
        "optimizer.averaged",
        () => this.#steps,
        (steps) => (this.#steps = steps),
      ),
    ];
    if (average.kind === "ema") this.swap = () => this.#swap();
  }

  step(rateOf: Rate, done = 0): void {
    if (this.#steps === 0) this.#blend(0);
    this.#inner.step(rateOf, done);
    const steps = ++this.#steps;
    const { kind, decay } = this.#average;
    if (kind === "ema") this.#blend(Math.min(decay, (1 + steps) / (10 + steps)));
    else if (done >= 1) this.#takeOver();
    else if (steps % this.#average.every === 0) {
      this.#blend(decay * done ** 3);
      this.#takeOver();
    }
  }

  free(): void {
    this.#inner.free();
    freeAll(this.#pairs.map(([, average]) => average));
  }

  #blend(decay: number): void {
    for (const [tensor, average] of this.#pairs) axpby(1 - decay, tensor, decay, average);
  }

  #takeOver(): void {
    for (const [tensor, average] of this.#pairs) axpby(1, average, 0, tensor);
  }

  async #swap(): Promise<void> {
    // Before the first step there are no averages.
    if (this.#steps === 0) return;
    for (const [tensor, average] of this.#pairs) {
      const [own, other] = await Promise.all([tensor.read(), average.read()]);
      tensor.backend.write(tensor.buffer, other);
      tensor.backend.write(average.buffer, own);
    }
  }
}
